// libtorch_cuda.so comes in before the first call that asks for it, or not at all. The driver and the library are
// stand-ins compiled here: a libcuda.so.1 of the functions that we ask for, and a libtorch_cuda.so that registers hooks saying "there is
// CUDA" with the real libtorch. ATen takes such hooks only where they are there when it first asks.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { discoverLibtorch, type Libtorch, libtorchKey } from '../libtorch/discover.js';

const DRIVER = `
#include <cstdlib>
#include <cstdio>
#include <cstring>
static int number(const char* name, int otherwise) { const char* text = getenv(name); return text ? atoi(text) : otherwise; }
extern "C" {
int cuInit(unsigned) { FILE* log = fopen(getenv("STAND_IN_LOG"), "a"); fputs("driver\\n", log); fclose(log); return number("STAND_IN_ERROR", 0); }
int cuDriverGetVersion(int* version) { *version = number("STAND_IN_VERSION", 13000); return 0; }
int cuDeviceGetCount(int* count) { *count = number("STAND_IN_DEVICES", 1); return 0; }
int cuDeviceGet(int* device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char* name, int length, int) { snprintf(name, length, "Stand-in"); return 0; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = size_t(80) << 30; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) { *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 132; return 0; }
int cuMemGetInfo_v2(size_t*, size_t*) { return 201; }
int cuGetErrorString(int, const char** text) { *text = "system not yet initialized"; return 0; }
int cuGetErrorName(int, const char** name) { *name = "CUDA_ERROR_SYSTEM_NOT_READY"; return 0; }
int cuDevicePrimaryCtxRetain(void**, int) { return 201; }
int cuCtxGetCurrent(void**) { return 201; }
int cuCtxSetCurrent(void*) { return 201; }
int cuStreamCreate(void**, unsigned) { return 201; }
int cuStreamWaitEvent(void*, void*, unsigned) { return 201; }
int cuEventCreate(void**, unsigned) { return 201; }
int cuEventDestroy_v2(void*) { return 201; }
int cuEventRecord(void*, void*) { return 201; }
int cuEventQuery(void*) { return 201; }
int cuModuleLoadData(void**, const void*) { return 201; }
int cuModuleGetFunction(void**, void*, const char*) { return 201; }
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**) { return 201; }
}`;

const LIBRARY = `
#include <ATen/detail/CUDAHooksInterface.h>
#include <cstdio>
#include <cstdlib>
namespace {
struct Loaded { Loaded() { FILE* log = fopen(getenv("STAND_IN_LOG"), "a"); fputs("libtorch_cuda\\n", log); fclose(log); } } loaded;
struct CUDAHooks : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  bool hasCUDA() const override { return getenv("STAND_IN_REFUSES") == nullptr; }
  long versionCUDART() const override { return 13000; }
};
}
namespace at { using ::CUDAHooks; REGISTER_CUDA_HOOKS(CUDAHooks); }`;

const folder = mkdtempSync(join(tmpdir(), 'start-cuda-'));
const drivers = join(folder, 'drivers');
const root = join(folder, 'libtorch');
const log = join(folder, 'log');
const builds = fileURLToPath(new URL('../../build/', import.meta.url));
const index = fileURLToPath(new URL('../index.js', import.meta.url));
let standIn: Libtorch;

before(() => {
  const real = discoverLibtorch();
  assert.ok(real);
  for (const made of [drivers, join(root, 'lib'), join(root, 'include/torch/csrc/api/include/torch')])
    mkdirSync(made, { recursive: true });
  symlinkSync(join(real.libDir, 'libtorch_cpu.so'), join(root, 'lib/libtorch_cpu.so'));
  const [major, minor, patch] = real.version.split('.');
  const parts = [`MAJOR ${major}`, `MINOR ${minor}`, `PATCH ${patch}`];
  writeFileSync(
    join(root, 'include/torch/csrc/api/include/torch/version.h'),
    parts.map((part) => `#define TORCH_VERSION_${part}`).join('\n'),
  );
  compile(DRIVER, join(drivers, 'libcuda.so.1'), []);
  const standard = Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 9) ? 20 : 17;
  const includes = real.includeDirs.filter((dir) => dir !== '/usr/include').map((dir) => `-I${dir}`);
  compile(
    LIBRARY,
    join(root, 'lib/libtorch_cuda.so'),
    [`-std=gnu++${standard}`, ...includes],
    ['-Wl,--no-as-needed', `-L${real.libDir}`, `-Wl,-rpath,${real.libDir}`, '-ltorch_cpu', '-lc10'],
  );
  const found = discoverLibtorch({ LIBTORCH: root });
  assert.ok(found?.cuda);
  standIn = found;
  const build = join(builds, libtorchKey(standIn));
  mkdirSync(build, { recursive: true });
  cpSync(join(builds, libtorchKey(real), 'goshawk_torch.node'), join(build, 'goshawk_torch.node'));
});
after(() => {
  if (standIn) rmSync(join(builds, libtorchKey(standIn)), { recursive: true, force: true });
  rmSync(folder, { recursive: true });
});

function compile(source: string, library: string, flags: readonly string[], libraries: readonly string[] = []): void {
  const file = join(folder, 'source.cc');
  writeFileSync(file, source);
  mkdirSync(dirname(library), { recursive: true });
  execFileSync(process.env.CXX ?? 'g++', ['-shared', '-fPIC', '-O0', ...flags, file, '-o', library, ...libraries]);
}

/** Runs a program against the stand-ins: what it prints as JSON, and what was loaded, in order. */
function run(program: string, env: NodeJS.ProcessEnv = {}): { answer: unknown; loaded: string[] } {
  rmSync(log, { force: true });
  const source = `const engine = await import(${JSON.stringify(index)});
${program}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    env: {
      ...process.env,
      ...{ LIBTORCH: root, LD_LIBRARY_PATH: drivers, STAND_IN_LOG: log, CUDA_VISIBLE_DEVICES: undefined },
      ...env,
    },
  });
  assert.equal(status, 0, stderr);
  const loaded = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  return { answer: JSON.parse(stdout), loaded };
}

const whether = 'console.log(JSON.stringify(engine.cudaAvailable()))';
const refusal = `try { engine.ensureDevice('cuda:1') } catch (error) {
  console.log(JSON.stringify([error.message, engine.cudaAvailable()]));
}`;

function messageOf({ answer }: { answer: unknown }): string {
  return (answer as [string, boolean])[0];
}

describe('with a driver that shows a device', () => {
  for (const first of [
    'engine.manualSeed(1)',
    'engine.randn([2])',
    'engine.engineInfo()',
    'engine.setThreads(1)',
    "engine.callOp('aten::manual_seed', 1)",
    'engine.autocast("bfloat16", () => engine.zeros([2]))',
  ])
    test(`CUDA is found after ${first}`, () => {
      const { answer, loaded } = run(`try { ${first} } catch { } ${whether}`);
      assert.deepEqual({ answer, loaded }, { answer: true, loaded: ['driver', 'libtorch_cuda'] });
    });

  test('CUDA is found in a worker thread, before and after the main thread asks, and loaded once', () => {
    const worker = `import { parentPort } from 'node:worker_threads';
      const engine = await import(${JSON.stringify(index)});
      engine.manualSeed(1);
      parentPort.postMessage(engine.cudaAvailable());`;
    const url = `data:text/javascript,${encodeURIComponent(worker.replace(JSON.stringify(index), JSON.stringify(`file://${index}`)))}`;
    const program = `const { Worker } = await import('node:worker_threads');
      const asked = () => new Promise((done) => new Worker(new URL(${JSON.stringify(url)})).once('message', done));
      const before = await asked();
      const own = engine.cudaAvailable();
      console.log(JSON.stringify([before, own, await asked()]));`;
    const { answer, loaded } = run(program);
    assert.deepEqual({ answer, loaded }, { answer: [true, true, true], loaded: ['driver', 'libtorch_cuda'] });
    // A process whose main thread never loads the engine.
    const alone = `const { Worker } = await import('node:worker_threads');
      new Worker(new URL(${JSON.stringify(url)})).once('message', (found) => console.log(JSON.stringify(found)));`;
    rmSync(log, { force: true });
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', alone], {
      encoding: 'utf8',
      env: { ...process.env, LIBTORCH: root, LD_LIBRARY_PATH: drivers, STAND_IN_LOG: log },
    });
    assert.equal(stdout.trim(), 'true');
  });

  test('an index beyond the devices says which there are', () => {
    assert.match(messageOf(run(refusal)), /^device 'cuda:1': there is cuda:0 alone: use one of these$/);
    const three = refusal.replace('cuda:1', 'cuda:7');
    const visible = { STAND_IN_DEVICES: '3', CUDA_VISIBLE_DEVICES: '0,1,2' };
    assert.match(
      messageOf(run(three, visible)),
      /^device 'cuda:7': there is cuda:0 to cuda:2 with CUDA_VISIBLE_DEVICES='0,1,2': use one of these$/,
    );
  });

  test('its facts are told', () => {
    const { answer } = run('console.log(JSON.stringify(engine.cudaFacts()))');
    assert.deepEqual(answer, {
      ...{ driver: '13.0', library: '13.0' },
      devices: [{ device: 'cuda:0', name: 'Stand-in', bytes: 80 * 2 ** 30, capability: '9.0', multiprocessors: 132 }],
    });
  });

  test('a driver that is too old for the libtorch is told with both versions', () => {
    const refused = run(refusal, { STAND_IN_REFUSES: '1', STAND_IN_VERSION: '12040' });
    assert.match(
      messageOf(refused),
      /^device 'cuda:1': NVIDIA's driver is for CUDA 12\.4, libtorch \S+ for CUDA 13\.0: install a newer driver, set LIBTORCH to a libtorch for CUDA 12, or use 'cpu'$/,
    );
  });
});

describe('without a device nothing is loaded, and the reason is one line', () => {
  const cases: readonly [string, NodeJS.ProcessEnv, readonly string[], RegExp][] = [
    [
      'no driver',
      { LD_LIBRARY_PATH: folder },
      [],
      /^device 'cuda:1': no NVIDIA driver on this machine \(libcuda\.so\.1: .*\): install it, or use 'cpu'$/,
    ],
    [
      'a driver without a device',
      { STAND_IN_DEVICES: '0' },
      ['driver'],
      /^device 'cuda:1': NVIDIA's driver shows no device: use 'cpu'$/,
    ],
    [
      'a driver that says so itself',
      { STAND_IN_ERROR: '100' },
      ['driver'],
      /NVIDIA's driver shows no device: use 'cpu'$/,
    ],
    [
      'a driver that fails',
      { STAND_IN_ERROR: '802' },
      ['driver'],
      /NVIDIA's driver does not start \(error 802: system not yet initialized\): mend/,
    ],
    [
      'an empty CUDA_VISIBLE_DEVICES',
      { CUDA_VISIBLE_DEVICES: '' },
      [],
      /CUDA_VISIBLE_DEVICES='' hides every CUDA device: unset it/,
    ],
    [
      'CUDA_VISIBLE_DEVICES=-1',
      { CUDA_VISIBLE_DEVICES: '-1' },
      [],
      /CUDA_VISIBLE_DEVICES='-1' hides every CUDA device/,
    ],
    [
      'a hidden device',
      { CUDA_VISIBLE_DEVICES: '7', STAND_IN_DEVICES: '0' },
      ['driver'],
      /shows no device with CUDA_VISIBLE_DEVICES='7': use 'cpu'$/,
    ],
  ];
  for (const [title, env, expected, reason] of cases)
    test(title, () => {
      const { answer, loaded } = run(refusal, env);
      const [message, available] = answer as [string, boolean];
      assert.match(message, reason);
      assert.deepEqual(loaded, expected);
      assert.equal(available, false);
    });
});

const real = discoverLibtorch();

test('a libtorch that has CUDA loads it with all that it needs', {
  skip: real?.cuda ? false : 'this libtorch has no CUDA: set LIBTORCH to one that has',
}, () => {
  assert.ok(real);
  const program = `
      const { native } = await import(${JSON.stringify(new URL('./native.js', import.meta.url).href)});
      engine.manualSeed(1);
      console.log(JSON.stringify([engine.cudaProblem() ?? 'ready', native.cudaLibraryVersions()[0] > 0]));`;
  // The stand-in driver shows a device, of which CUDA's own library then finds out that it is none.
  const { answer, loaded } = run(program, { LIBTORCH: real.root });
  const [problem, isLoaded] = answer as [string, boolean];
  assert.equal(isLoaded, true, problem);
  assert.deepEqual(loaded.slice(0, 1), ['driver']);
});
