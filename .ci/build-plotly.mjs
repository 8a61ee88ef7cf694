// Builds plotly.js with the traces that our pages use and no others, from the registry of npm:
//
//     node .ci/build-plotly.mjs           write the bundles and their licences into the packages
//     node .ci/build-plotly.mjs FOLDER    write them into FOLDER/sweeps/... and FOLDER/digitexp/...
//
// What plotly.js's own `npm run custom-bundle` does from a git checkout; the package on npm leaves
// that script out. Everything is pinned, what plotly.js needs by a date, so that the same bytes
// come out: tests/test_plotly.py has their digests.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PLOTLY = "4.1.1"; // the plotly.js of plotly for Python 7.1, which checks our figures in a test
const AS_OF = "2026-11-28";
const TOOLS = [
  "esbuild@0.28.1", "esbuild-plugin-environment@0.5.0", "esbuild-plugin-glsl@1.4.2",
  "esbuild-plugin-inline-css@0.0.1", "buffer@6.0.3", "stream-browserify@3.0.0",
];
const FLAT = ["bar", "heatmap"]; // and scatter, which is always there
// sweeps and digitexp do not read each other's files: each has its own copy.
const BUNDLES = {
  "sweeps/render/page/plotly.min.js": FLAT,
  "digitexp/pages/plotly.min.js": FLAT,
  "digitexp/pages/plotly-3d.min.js": ["scatter3d", "mesh3d"],
};

const target = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = mkdtempSync(join(tmpdir(), "plotly-"));
writeFileSync(join(folder, "package.json"), "{}");
const wanted = [`plotly.js@${PLOTLY}`, ...TOOLS];
const options = ["--no-audit", "--no-fund", "--no-save", "--loglevel=error", `--before=${AS_OF}`];
execFileSync("npm", ["install", ...options, ...wanted], { cwd: folder, stdio: "inherit" });
const require = createRequire(join(folder, "package.json"));

async function bundle(traces) {
  const modules = traces.map((trace) => `require("plotly.js/lib/${trace}")`);
  const contents = `const Plotly = require("plotly.js/lib/core");
    Plotly.register([${modules}]);
    module.exports = Plotly;`;
  return require("esbuild").build({
    stdin: { contents, resolveDir: folder },
    absWorkingDir: folder,
    banner: { js: `/* plotly.js v${PLOTLY} with ${["scatter", ...traces].join(", ")}; licences: LICENSE-plotly.txt */` },
    legalComments: "none", // they are in that file
    bundle: true, minify: true, metafile: true, write: false,
    // As in its esbuild-config.js.
    format: "iife", globalName: "Plotly", target: "es2016",
    plugins: [
      require("esbuild-plugin-inline-css")(),
      require("esbuild-plugin-glsl").glsl({ minify: true }),
      require("esbuild-plugin-environment").environmentPlugin({ NODE_DEBUG: false }),
    ],
    alias: { regl: "@plotly/regl", stream: "stream-browserify" },
    define: { global: "window", "define.amd": "false" },
  });
}

/** Returns the licences of all packages that a bundle has code of. */
function licences(metafile) {
  const inputs = Object.keys(metafile.inputs);
  const names = inputs.map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[0]);
  const places = [...new Set(names.filter(Boolean))].sort();
  return places.map((place) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, place, "package.json")));
    const file = readdirSync(join(folder, place)).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(folder, place, file), "utf8").trim() : "(no file of its own)";
    return `${name} ${version} (${license})\n\n${text.replace(/\r/g, "").replace(/[ \t]+$/gm, "")}\n`;
  });
}

const found = {};
for (const [path, traces] of Object.entries(BUNDLES)) {
  const { outputFiles, metafile } = await bundle(traces);
  const place = join(target, dirname(path));
  mkdirSync(place, { recursive: true });
  // The id of the style sheet is a digest of where it lay, in a folder that is another each time.
  const code = outputFiles[0].text.replace(/"[0-9a-f]{64}"/g, '"plotly-style"');
  writeFileSync(join(target, path), code);
  found[place] = [...new Set([...(found[place] ?? []), ...licences(metafile)])];
  console.log(path, code.length);
}
for (const [place, texts] of Object.entries(found)) {
  const rule = `\n${"-".repeat(80)}\n\n`;
  writeFileSync(join(place, "LICENSE-plotly.txt"), `Licences of the packages in the bundles of plotly.js beside this file.${rule}${texts.sort().join(rule)}`);
}
rmSync(folder, { recursive: true });
