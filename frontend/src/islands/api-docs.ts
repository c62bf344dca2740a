/** The API's page: Swagger UI, which the build puts beside this file, shows /api/openapi.json. */

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

interface Swagger {
  readonly React: { createElement(tag: string, attributes: null, text: string): unknown };
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

follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  filter: true,
  plugins: [pathsAreText],
  // Nobody outside is asked whether the document is valid.
  validatorUrl: null,
});
