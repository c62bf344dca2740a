// Builds what browsers load: a file for each island and each script, and the chunks that they share.

import { readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const target = path.resolve(here, "../dispatcher/portal/pages/static/built");
const unfinished = `${target}.unfinished`;

const common = {
  bundle: true,
  minify: true,
  charset: "utf8",
  target: ["chrome111", "firefox114", "safari16.4"],
  outdir: unfinished,
  logLevel: "warning",
  legalComments: "eof",
};

const entries = (folder) =>
  readdirSync(path.join(here, "src", folder))
    .filter((name) => name.endsWith(".ts") || name.endsWith(".css"))
    .map((name) => path.join(here, "src", folder, name));

await rm(unfinished, { recursive: true, force: true });
await mkdir(unfinished, { recursive: true });
const { metafile } = await build({
  ...common,
  metafile: true,
  entryPoints: entries("islands"),
  format: "esm",
  splitting: true,
  chunkNames: "chunk-[hash]",
});
// Whoever gets the built files gets the licences of what is in them.
const packages = new Set(
  Object.keys(metafile.inputs).flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []),
);
const licences = [...packages, "swagger-ui-dist"].sort().map((name) => {
  const folder = path.join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file === undefined ? "" : readFileSync(path.join(folder, file), "utf8").trim();
  return `${name} ${version}: ${license}\n\n${text}\n`;
});
await writeFile(path.join(unfinished, "licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
// Swagger UI comes built: what a bundler would make of it again is larger, and takes long.
const swagger = path.join(here, "node_modules/swagger-ui-dist");
for (const name of ["swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css"]) {
  await copyFile(path.join(swagger, name), path.join(unfinished, name));
}
const { TEXTS } = await import("./src/texts.ts");
await writeFile(path.join(unfinished, "texts.json"), `${JSON.stringify(TEXTS, null, 2)}\n`);
await rm(target, { recursive: true, force: true });
await rename(unfinished, target);
