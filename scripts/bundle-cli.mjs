// Bundles goshawk's command line with what it reads of these packages and of small ones from others, so that a command waits for a few
// files and not for several hundred:
//   node scripts/bundle-cli.mjs       into packages/goshawk/bundle, unless that is made from what is compiled now
// bin/goshawk.js takes the bundle where it is current, and the compiled files where it is not. Needs a finished `tsc -b`.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const packages = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../packages');
const output = path.join(packages, 'goshawk/bundle');
const made = `${output}.partial`;
/** Of others: many small files each, and no binaries. */
const INLINED = ['@xmldom/xmldom', 'commander', 'yaml', 'zod'];
const LICENSES = new Set(['MIT', 'ISC']);
/** What a process or a thread begins with; their modules' `new URL('./NAME.js', import.meta.url)` finds them side by side. */
const ENTRIES = [
  ...['cli/main', 'cli/load-ahead', 'cli/eval-process'],
  ...['data/loader-worker', 'data/module-dataset-worker', 'processes/life-signs-worker'],
  ...['infer/video/read-worker', 'infer/video/draw-worker', 'serve/decode-worker', 'serve/detect-worker'],
];

/** When each package was last compiled: what bin/goshawk.js compares. */
const compiled = Object.fromEntries(
  ['core', 'runtime', 'torch', 'goshawk'].map((name) => [
    name,
    statSync(path.join(packages, name, 'dist/.tsbuildinfo')).mtimeMs,
  ]),
);

/** @type {import('esbuild').Plugin} */
const places = {
  name: 'places',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path: name }) => {
      const isInlined =
        name.startsWith('@goshawk/') || INLINED.some((each) => name === each || name.startsWith(`${each}/`));
      return isInlined ? undefined : { path: name, external: true };
    });
    // Code that asks where it lies looks for its neighbours: fonts, the addons.
    onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const [, name, below] = /^([^/\\]+)[/\\]dist[/\\](.+)$/.exec(path.relative(packages, file)) ?? [];
      if (name === undefined) return undefined;
      const place = below.replaceAll(path.sep, '/');
      const url =
        name === 'goshawk'
          ? `new URL('../dist/${place}', import.meta.url).href`
          : `new URL('${place}', import.meta.resolve('@goshawk/${name}')).href`;
      const contents = readFileSync(file, 'utf8').replace(
        /(new URL\('\.\/([\w-]+)\.js', )?import\.meta\.url/g,
        (text, start, entry) => {
          if (start === undefined) return url;
          const [, folder] = /^(.*?)[^/]*$/.exec(place);
          if (name === 'goshawk' && ENTRIES.includes(`${folder}${entry}`)) return text;
          throw new Error(`${place} starts ${entry}.js, which is not among the bundle's entries`);
        },
      );
      return { contents, loader: 'js' };
    });
  },
};

if (!isCurrent()) await bundle();

function isCurrent() {
  const stamp = path.join(output, 'compiled.json');
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === JSON.stringify(compiled);
}

async function bundle() {
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { recursive: true });
  await build({
    entryPoints: ENTRIES.map((name) => path.join(packages, `goshawk/dist/${name}.js`)),
    outdir: made,
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Errors tell which class they are of.
    keepNames: true,
    // Some of the packages are CommonJS, and ask for Node's modules their way.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    plugins: [places],
    logLevel: 'warning',
  });
  writeFileSync(path.join(made, 'licenses.txt'), licenses());
  writeFileSync(path.join(made, 'compiled.json'), JSON.stringify(compiled));
  rmSync(output, { recursive: true, force: true });
  renameSync(made, output);
}

/** Of what comes from others; a licence that is not known here stops the build. */
function licenses() {
  const texts = INLINED.map((name) => {
    const folder = path.resolve(packages, '../node_modules', name);
    const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    if (!LICENSES.has(license)) throw new Error(`${name}: its licence ${license} is not known here`);
    return `${name} ${version}\n\n${readFileSync(path.join(folder, 'LICENSE'), 'utf8').trim()}\n`;
  });
  return texts.join('\n----\n\n');
}
