// The packages as npm would bring them: packed, installed from the tarballs in an empty folder, set up, and used by the
// command line and from TypeScript.
//   npm run check:packages [-- --keep]      --keep leaves the folder and names it
// Needs the npm registry for the dependencies, a libtorch and g++. Prints a table of the steps with their times; exit
// code 1 when one fails.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const names = ['core', 'runtime', 'torch', 'goshawk'];
const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-packages-'));
const project = path.join(folder, 'project');
mkdirSync(project);
const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const noEngine = { LIBTORCH: path.join(folder, 'no-such-libtorch') };
const weights = 'runs/first/final.safetensors';
const smallTraining = ['--iterations', '4', '--set', 'train.batchSize=2', '--set', 'data.val.limit=2'];
const results = [];
let tarballs = [];

const steps = {
  'pack the packages': () => {
    tarballs = names.map((name) => {
      const { out } = run('npm', ['pack', '--json', '--pack-destination', folder], {
        cwd: path.join(root, 'packages', name),
      });
      return path.join(folder, JSON.parse(out)[0].filename);
    });
  },
  'what is in them': () => {
    for (const tarball of tarballs) checkContents(tarball);
    const configs = path.join(folder, 'goshawk', 'configs');
    expect(sameFiles(configs, path.join(root, 'configs')), 'goshawk lacks some of configs/');
    expect(existsSync(path.join(folder, 'goshawk', 'browser', 'index.html')), "goshawk lacks the browser's page");
    expect(existsSync(path.join(folder, 'goshawk', 'bundle', 'main.js')), 'goshawk lacks the bundle of its commands');
    expect(
      !existsSync(path.join(root, 'packages/goshawk/configs')),
      'the copied configs were left in packages/goshawk',
    );
  },
  'npm install': () => {
    const manifest = { name: 'check-packages', private: true, type: 'module' };
    writeFileSync(path.join(project, 'package.json'), JSON.stringify(manifest));
    const types = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
    run('npm', ['install', '--no-audit', '--no-fund', ...tarballs, ...types]);
  },
  'goshawk before any set-up': () => {
    goshawk(['--help'], { out: /^Usage: goshawk/ });
    goshawk(['data', 'synth', '--output', 'scenes', '--images', '60', '--size', '96x96'], { env: noEngine });
    goshawk(['data', 'check', 'scenes/train.json', '--images', 'scenes/images'], {
      env: noEngine,
      out: /nothing wrong/,
    });
    writeFileSync(path.join(project, 'none.json'), '[]');
    const evaluate = ['evaluate', '--ground-truth', 'scenes/val.json', '--detections', 'none.json'];
    goshawk(evaluate, { env: noEngine, out: /Average Precision/ });
    for (const env of [{}, noEngine]) {
      const { err } = goshawk(['info', 'configs/demo/mask_rcnn_r18_tiny.yaml'], { env, code: 2 });
      expect(/^goshawk: [^\n]*run `npx goshawk setup`[^\n]*\n$/.test(err), `before set-up it says: ${err}`);
    }
    goshawk(['doctor'], { code: 1, out: /-> run `npx goshawk setup`/ });
    goshawk(['setup'], { env: noEngine, code: 2, err: /^goshawk: no libtorch: [^\n]*\n$/ });
  },
  'goshawk setup': () => {
    goshawk(['setup'], { err: /built the addon against libtorch/ });
    goshawk(['setup'], { err: /^nothing to do: / });
  },
  'goshawk doctor': () => void goshawk(['doctor'], { out: /\nready\n$/ }),
  'goshawk info, of a config of the package': () =>
    void goshawk(['info', 'configs/torchvision/mask_rcnn_r50_fpn.yaml'], { out: /parameters/ }),
  'goshawk train': () => {
    goshawk(['train', 'configs/demo/mask_rcnn_r18_tiny.yaml', '--output', 'runs/first', ...smallTraining]);
    expect(existsSync(path.join(project, weights)), `${weights} was not written`);
  },
  'goshawk eval': () => {
    goshawk(['eval', 'runs/first/config.yaml', '--weights', weights], { out: /Average Precision/ });
  },
  'goshawk predict': () => {
    goshawk([
      ...['predict', 'runs/first/config.yaml', '--weights', weights, '--output', 'found'],
      ...['--score-threshold', '0.01', 'scenes/images/000001.png'],
    ]);
    const found = JSON.parse(readFileSync(path.join(project, 'found/detections.json'), 'utf8'));
    expect(Array.isArray(found), 'found/detections.json is no list');
  },
  'a strict TypeScript project compiles': () => {
    writeFileSync(path.join(project, 'predict.ts'), typescriptOf('packages/goshawk/README.md'));
    writeFileSync(path.join(project, 'evaluate.ts'), typescriptOf('packages/core/README.md'));
    writeFileSync(path.join(project, 'tensors.ts'), typescriptOf('packages/torch/README.md'));
    writeFileSync(path.join(project, 'train.ts'), trainProgram);
    const ownProgram = typescriptOf('docs/in-your-own-program.md');
    const lines = ownProgram.trimEnd().split('\n').length;
    expect(lines <= MOST_LINES, `the program of docs/in-your-own-program.md has ${lines} lines`);
    writeFileSync(path.join(project, 'squares.ts'), ownProgram);
    const compilerOptions = {
      ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
      ...{ target: 'ES2022', lib: ['ES2023', 'ESNext.Disposable'], module: 'NodeNext', types: ['node'] },
      ...{ rootDir: '.', outDir: 'out' },
    };
    writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    run('npx', ['tsc', '-p', '.']);
  },
  'evaluation from TypeScript': () =>
    void run('node', ['out/evaluate.js'], { env: noEngine, out: /Average Precision/ }),
  'tensors from TypeScript': () => void run('node', ['out/tensors.js']),
  'a training from TypeScript': () => void run('node', ['out/train.js'], { out: /^trained 4 iterations\n$/ }),
  'a program with a data set of its own, that trains, shows its progress and evaluates': () => {
    const { out, err } = run('node', ['out/squares.js'], {
      out: /\n70 70 [\d.]+\nruns\/squares\/final.safetensors AP50 /,
    });
    expect(err === '', `it says on stderr: ${err}`);
    const ap50 = Number(/AP50 ([\d.]+)/.exec(out)[1]);
    expect(ap50 > 0.9, `it reaches an AP50 of ${ap50}`);
    expect(sameNames('runs/squares', 'runs/first'), 'it leaves other files than the command');
  },
  'its weights, without a config': () => {
    goshawk(['predict', 'runs/squares/best.safetensors', 'scenes/images/000001.png', '--output', 'squares']);
    expect(existsSync(path.join(project, 'squares/000001.png')), 'no picture was drawn');
  },
  'an exported detector from TypeScript, in a project of the runtime alone': () => {
    goshawk(['export', weights, '--output', path.join(folder, 'model.onnx')]);
    const program = typescriptOf('packages/runtime/README.md');
    const lines = program.trimEnd().split('\n').length;
    expect(lines <= MOST_RUNTIME_LINES, `the program of packages/runtime/README.md has ${lines} lines`);
    const own = path.join(folder, 'runtime-project');
    mkdirSync(own);
    writeFileSync(
      path.join(own, 'package.json'),
      JSON.stringify({ name: 'check-runtime', private: true, type: 'module' }),
    );
    const others = ['typescript', '@types/node', 'onnxruntime-node'].map((name) => `${name}@${devDependencies[name]}`);
    run('npm', ['install', '--no-audit', '--no-fund', ...tarballs.slice(0, 2), 'sharp', ...others], {
      ...{ cwd: own, env: { ONNXRUNTIME_NODE_INSTALL: 'skip' } },
    });
    cpSync(path.join(folder, 'model.onnx'), path.join(own, 'model.onnx'));
    cpSync(path.join(project, 'scenes/images/000001.png'), path.join(own, 'photo.jpg'));
    writeFileSync(path.join(own, 'find.ts'), program);
    const compilerOptions = {
      ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
      ...{ target: 'ES2022', lib: ['ES2023', 'DOM'], module: 'NodeNext', types: ['node'] },
    };
    writeFileSync(path.join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    run('npx', ['tsc', '-p', '.'], { cwd: own });
    const found = run('node', ['find.js'], { cwd: own, env: noEngine });
    expect(!/goshawk-runtime|libtorch/.test(found.err), `it says on stderr: ${found.err}`);
  },
  'a prediction from TypeScript': () => void run('node', ['--enable-source-maps', 'out/predict.js']),
};

/** What a program that finds objects with an exported file may need. */
const MOST_RUNTIME_LINES = 15;

/** What a program that trains on data of its own may need. */
const MOST_LINES = 40;

const trainProgram = `import { loadConfig, train } from 'goshawk';

const small = ['train.batchSize=2', 'data.val.limit=2'];
const { config } = loadConfig('configs/demo/mask_rcnn_r18_tiny.yaml', small);
const { iteration } = await train({ config, output: 'runs/second', iterations: 4 });
console.log(\`trained \${iteration} iterations\`);
`;

let failure;
for (const [name, step] of Object.entries(steps)) {
  process.stderr.write(`check-packages: ${name}\n`);
  const started = performance.now();
  try {
    step();
    results.push({ name, state: 'ok', seconds: (performance.now() - started) / 1000 });
  } catch (error) {
    failure = error;
    results.push({ name, state: 'FAILED', seconds: (performance.now() - started) / 1000 });
    break;
  }
}
const width = Math.max(...results.map(({ name }) => name.length));
for (const { name, state, seconds } of results)
  console.log(`${name.padEnd(width)}  ${state.padEnd(6)}  ${seconds.toFixed(1).padStart(6)} s`);
if (failure) {
  console.error(failure instanceof Error ? failure.message : failure);
  process.exitCode = 1;
}
if (process.argv.includes('--keep')) console.error(`check-packages: left in ${folder}`);
else rmSync(folder, { recursive: true, force: true });

/** Unpacked beside the project: README and LICENSE, nothing of tests, source maps that lead to sources in the package. */
function checkContents(tarball) {
  const name = path.basename(tarball).replace(/-\d.*$/, '');
  const place = path.join(folder, name);
  mkdirSync(place);
  run('tar', ['xzf', tarball, '-C', place, '--strip-components=1']);
  const files = readdirSync(place, { recursive: true });
  for (const needed of ['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts'])
    expect(files.includes(needed), `${name} has no ${needed}`);
  for (const file of files) {
    const ofTests = /(^|\/)(testing|parity|fixtures|__tests__)(\/|$)|\.test\.|\.tsbuildinfo$|\.spec\./.test(file);
    expect(!ofTests, `${name} brings ${file}`);
    if (/\.(js|d\.ts)$/.test(file)) checkSourceMap(place, file);
  }
  const { exports, bin = {} } = JSON.parse(readFileSync(path.join(place, 'package.json'), 'utf8'));
  const named = [...Object.values(exports).flatMap((entry) => Object.values(entry)), ...Object.values(bin)];
  for (const target of named) expect(existsSync(path.join(place, target)), `${name} names ${target} and lacks it`);
}

function checkSourceMap(place, file) {
  const named = /^\/\/# sourceMappingURL=(.*)$/m.exec(readFileSync(path.join(place, file), 'utf8'))?.[1];
  if (named === undefined) return;
  const map = path.join(place, path.dirname(file), named);
  expect(existsSync(map), `${file} names ${named}, which is not there`);
  const { sources, sourceRoot = '' } = JSON.parse(readFileSync(map, 'utf8'));
  for (const source of sources)
    expect(
      existsSync(path.join(path.dirname(map), sourceRoot, source)),
      `${file} is made from ${source}, which is not there`,
    );
}

function sameFiles(a, b) {
  const list = (place) => readdirSync(place, { recursive: true }).sort().join('\n');
  return existsSync(a) && list(a) === list(b);
}

/** Whether two runs of the project have the same files, but for what depends on their steps. */
function sameNames(a, b) {
  const [first, second] = [a, b].map((run) => readdirSync(path.join(project, run)).sort().join(', '));
  if (first !== second) console.error(`${a}: ${first}\n${b}: ${second}`);
  return first === second;
}

/** The first TypeScript block of a page: what people copy is what is tried. */
function typescriptOf(page) {
  return /```ts\n([\s\S]*?)```/.exec(readFileSync(path.join(root, page), 'utf8'))[1];
}

function goshawk(args, expected) {
  return run('npx', ['--no-install', 'goshawk', ...args], expected);
}

/** Runs a program in the project, with nothing in the environment that a user would not have. */
function run(command, args, { cwd = project, env = {}, code = 0, out, err } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    // Compiling takes minutes where others use the processors; nothing takes longer than this but what never ends.
    timeout: 40 * 60_000,
    env: { ...outerEnvironment(), ...env },
  });
  const shown = `${[path.basename(command), ...args].join(' ')}`;
  const said = `${stdout}${stderr}`.trim().split('\n').slice(-12).join('\n');
  expect(error === undefined, `${shown}: ${error?.message}`);
  expect(
    status === code,
    `${shown}: ${status === null ? 'killed' : `exit code ${status}`} (expected ${code}):\n${said}`,
  );
  if (out) expect(out.test(stdout), `${shown}: stdout is not ${out}:\n${said}`);
  if (err) expect(err.test(stderr), `${shown}: stderr is not ${err}:\n${said}`);
  return { out: stdout, err: stderr };
}

/** Without what `npm run` adds, by which an npm in the project would take this repository for its own. */
function outerEnvironment() {
  const added = /^npm_(lifecycle|package|config_local_prefix)|^INIT_CWD$|^PATH$/;
  const kept = Object.entries(process.env).filter(([name]) => !added.test(name));
  const isOurs = (place) => place.startsWith(root) || place.includes('node-gyp-bin');
  const PATH = (process.env.PATH ?? '').split(path.delimiter).filter((place) => !isOurs(place));
  return { ...Object.fromEntries(kept), PATH: PATH.join(path.delimiter) };
}

function expect(holds, message) {
  if (!holds) throw new Error(message);
}
