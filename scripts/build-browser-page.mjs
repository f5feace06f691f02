// Bundles examples/browser into the page that `goshawk demo --browser` serves, and that any server of files can serve:
//   node scripts/build-browser-page.mjs [--output FOLDER] [--sizes]
// Default packages/goshawk/browser. --sizes prints what each file weighs, alone and compressed. Needs a finished `tsc -b`.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const source = path.join(root, 'examples/browser');
const words = process.argv.slice(2);
const at = words.indexOf('--output');
const output = path.resolve(at < 0 ? path.join(root, 'packages/goshawk/browser') : words[at + 1]);
const made = `${output}.partial`;

const scripts = { 'main.js': 'page/main.ts', 'detector-worker.js': 'workers/detector-worker.ts' };
const copied = ['index.html', 'style.css', 'icon.svg'];
const runtime = ['ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];
const runtimeFolder = path.dirname(fileURLToPath(import.meta.resolve(`onnxruntime-web/${runtime[1]}`)));

rmSync(made, { recursive: true, force: true });
mkdirSync(made, { recursive: true });
const inputs = new Set();
for (const [name, entry] of Object.entries(scripts)) await bundle(name, entry);
for (const name of copied) cpSync(path.join(source, name), path.join(made, name));
for (const name of runtime) cpSync(path.join(runtimeFolder, name), path.join(made, name));
writeFileSync(path.join(made, 'licenses.txt'), licenses());
const files = [...Object.keys(scripts), ...copied, ...runtime, 'licenses.txt'];
await bundle('service-worker.js', 'workers/service-worker.ts', { PAGE_FILES: JSON.stringify(files) });
rmSync(output, { recursive: true, force: true });
renameSync(made, output);
if (words.includes('--sizes')) printSizes([...files, 'service-worker.js']);

async function bundle(name, entry, define = {}) {
  const { metafile } = await build({
    entryPoints: [path.join(source, entry)],
    outfile: path.join(made, name),
    bundle: true,
    minify: true,
    format: name === 'service-worker.js' ? 'iife' : 'esm',
    target: 'es2022',
    // ONNX Runtime's own module stays a file of its own: its threads start from there.
    conditions: ['onnxruntime-web-use-extern-wasm'],
    define,
    metafile: true,
    logLevel: 'warning',
    absWorkingDir: root,
  });
  const [{ inputs: used }] = Object.values(metafile.outputs);
  for (const [file, { bytesInOutput }] of Object.entries(used)) if (bytesInOutput > 0) inputs.add(file);
}

/** What comes from others is named with its licence; a package that has none written down here stops the build. */
function licenses() {
  const packages = new Set([...inputs].flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  packages.delete('onnxruntime-common');
  packages.add('onnxruntime-web');
  const texts = [...packages].sort().map((name) => {
    const folder = path.join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    if (license !== 'MIT') throw new Error(`${name}: its licence ${license} is not known here`);
    const text = name === 'onnxruntime-web' ? onnxRuntimeLicense() : readFileSync(path.join(folder, 'LICENSE'), 'utf8');
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  const own = readFileSync(path.join(root, 'LICENSE'), 'utf8').trim();
  return `${['goshawk', own].join('\n\n')}\n\n----\n\n${texts.join('\n----\n\n')}`;
}

/** Its npm package brings none. */
function onnxRuntimeLicense() {
  const terms = readFileSync(path.join(root, 'LICENSE'), 'utf8').replace(
    /^[\s\S]*?(?=Permission is hereby granted)/,
    '',
  );
  const others = 'What it is made of itself: https://github.com/microsoft/onnxruntime/blob/main/ThirdPartyNotices.txt';
  return `MIT License\n\nCopyright (c) Microsoft Corporation\n\n${terms.trim()}\n\n${others}`;
}

function printSizes(names) {
  console.log('| file | KB | compressed by gzip, KB |\n| --- | --- | --- |');
  const kilobytes = (bytes) => (bytes / 1000).toLocaleString('en', { maximumFractionDigits: 0 });
  for (const name of names) {
    const bytes = readFileSync(path.join(output, name));
    console.log(`| ${name} | ${kilobytes(bytes.length)} | ${kilobytes(gzipSync(bytes).length)} |`);
  }
}
