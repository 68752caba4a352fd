// Bundles the libraries of the report page, and collects the licence of each package that is in the bundle.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const assets = "../../src/flightcheck/report/page/assets";
const { metafile } = await build({
  entryPoints: ["vendor.mjs"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "vendor",
  charset: "ascii",
  legalComments: "none", // all licences stand in a file of their own, which the page shows
  outfile: `${assets}/vendor.min.js`,
  metafile: true,
});

const [output] = Object.values(metafile.outputs);
const packages = new Set();
for (const [file, { bytesInOutput }] of Object.entries(output.inputs)) {
  const inside = file.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (inside && bytesInOutput > 0) packages.add(inside[1]);
}
// The bundles of dagre hold graphlib, which is its own package.
if (packages.has("@dagrejs/dagre")) packages.add("@dagrejs/graphlib");

const notices = [...packages].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
  if (!file) throw new Error(`${name}: no licence file`);
  return `${name} ${version} (${license})\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n`;
});
writeFileSync(`${assets}/vendor.licenses.txt`, notices.join(`\n${"-".repeat(72)}\n\n`));
console.log(`${packages.size} packages, ${output.bytes} bytes`);
