/** The API's page: Swagger UI, which the build puts beside this file, shows /api/openapi.json. */

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

interface Swagger {
  readonly React: { createElement(tag: string, attributes: null, text: string): unknown };
}

interface Asked {
  readonly headers: Record<string, string>;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

function follow(): void {
  const chosen = root.getAttribute("data-theme");
  root.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && dark.matches));
}

/** A path is no link of its own: it stands in the button that opens its operation, and puts it into the address. */
const pathsAreText = () => ({
  wrapComponents: {
    DeepLink:
      (_: unknown, { React }: Swagger) =>
      ({ text }: { text: string }) =>
        React.createElement("span", null, text),
  },
});

const token = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content;

/** Who is signed in tries the API by the session's cookie, and what changes something repeats the session's token. */
function asOurOwn(asked: Asked): Asked {
  if (token !== undefined) {
    asked.headers["X-CSRF-Token"] = token;
  }
  return asked;
}

follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  filter: true,
  plugins: [pathsAreText],
  requestInterceptor: asOurOwn,
  // Nobody outside is asked whether the document is valid.
  validatorUrl: null,
});
