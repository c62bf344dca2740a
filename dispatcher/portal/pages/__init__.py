"""The pages: rendered here from Jinja templates, answered by the API's own operations, of use without script.

How to add a page:

1. Write a module, such as ``metrics.py``, with a class that is given what it needs (an ``…Api``, a clock) and has
   ``pages()``, a list of ``Page(path, get=…, post=…)``. Name the path's parts as the API does, ``{organization_id}``
   and ``{webhook_id}``; then only Organization Admins of that organization come in.
2. Add it to ``all_pages.py``.
3. A handler takes a ``Visit`` and returns a response: ``visit.render("metrics.html", metrics=…)``. It asks the API
   in-process, ``await self._api.get_metrics(visit.call(query_of(SomeQuery, visit.request.query)))``. A ``Problem``
   that it raises becomes an error page; catch it where a form should be shown again, with ``in_words(error.detail, …)``
   beside each field and ``visit.fields`` (``visit.all_fields``) for what was typed.
4. A form posts to a page's own route with ``{{ csrf() }}`` of ``parts.html`` in it, and the handler answers with
   ``visit.flash("success", …)`` and ``visit.see(url)``; ``body_of(NewWebhook, {…})`` checks a body as the API does, and
   ``visit.call(body=…, headers={"If-Match": …})`` hands it over.
5. A template extends ``base.html`` (blocks ``title``, ``breadcrumbs``, ``main``, and ``head`` for a page's own script:
   ``<script type="module" src="{{ static('built/editor.js') }}"></script>``, ``has_static(…)`` says whether it was
   built); a tab of a webhook's page extends ``webhook.html`` and fills its block ``tab``. Islands read
   ``<meta name="csrf-token">`` and send ``X-CSRF-Token`` with what changes something; ``/static/portal.js`` exports
   ``toast`` and ``localizeTimes``. Inline scripts and styles are not allowed (``style-src 'self'``): an editor that
   makes style elements of its own needs ``<meta name="csp-nonce" content="{{ visit.style_nonce() }}">``.
6. What others wrote is shown by ``{{ name | shown }}`` (a body in ``<pre>``: ``| shown_block``, an attribute:
   ``| plain``), times by ``| time``, numbers by ``| number`` and ``| percent``.
7. Every text stands in ``gettext("…")`` or ``{% trans %}``, in handlers in ``visit.gettext("…", name=…)``;
   ``python -m tools.catalogue`` collects them, and the Spanish is written in ``locale/es/LC_MESSAGES/portal.po``.
"""
