/** The API's page: Swagger UI, which the build puts beside this file, shows /api/openapi.json. */

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

function follow(): void {
  const chosen = root.getAttribute("data-theme");
  root.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && dark.matches));
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
