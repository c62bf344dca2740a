/** The API's page: Swagger UI, which the build puts beside this file, shows /api/openapi.json. */

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow(): void {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  filter: true,
  // Nobody outside is asked whether the document is valid.
  validatorUrl: null,
});
