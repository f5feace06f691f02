// goshawk weights get, from a server on this machine; where it is ended or limited, in a process of its own.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { publishedWeights } from '../foreign/torchvision/published-weights.js';
import { packagedWeights } from '../infer/packaged-weights.js';
import { findWeights, weightsCacheFolder } from '../infer/weights-cache.js';
import { type FileServer, startFileServer } from '../testing/file-server.js';
import { goshawkHere } from '../testing/goshawk-here.js';
import { mayMount } from '../testing/may-mount.js';
import { progressOf } from './weights-get.js';

const program = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const content = Buffer.alloc(400_000, 0);
for (let i = 0; i < content.length; i++) content[i] = (i * 7919 + (i >> 9)) % 251;
const NAME = `tiny-${createHash('sha256').update(content).digest('hex').slice(0, 8)}.pth`;

let server: FileServer;
let folder = '';
let cache = '';
before(async () => {
  const damaged = Buffer.from(content);
  damaged[200_000]! ^= 1;
  server = await startFileServer(
    new Map([
      [`/models/${NAME}`, content],
      ['/models/resnet18-f37072fd.pth', content],
      [`/damaged/${NAME}`, damaged],
    ]),
  );
});
after(() => server.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-weights-'));
  cache = join(folder, 'cache', 'goshawk', 'weights');
  server.forget();
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Not spawnSync: the server lives in this process. */
function start(args: readonly string[], { limit = '', ...environment }: Readonly<Record<string, string>> = {}) {
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), GOSHAWK_WEIGHTS: '', ...environment };
  const child = spawn('bash', ['-c', `${limit} exec "$0" "$@"`, process.execPath, program, ...args], {
    cwd: folder,
    env,
    timeout: 60_000,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    err += text;
  });
  const ended = once(child, 'close').then(([code]): Ended => ({ code: code as number | null, out, err }));
  return { child, ended };
}

const goshawk = (args: readonly string[], options: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  'limit' in options
    ? start(args, options).ended
    : goshawkHere(folder, args, { XDG_CACHE_HOME: join(folder, 'cache'), GOSHAWK_WEIGHTS: '', ...options });
const get = (address: string, options?: Readonly<Record<string, string>>): Promise<Ended> =>
  goshawk(['weights', 'get', address], options);

/** Besides the last state of the progress, where something came. */
function isOneLine(text: string, expected: RegExp): void {
  const lines = text.split('\n').filter((line) => !/^tiny-\w+\.pth: \d+ kB/.test(line));
  assert.equal(lines.length, 2, text);
  assert.match(lines[0]!, expected);
}

describe('goshawk weights get', () => {
  test('fetches into the cache, and a second time nothing', async () => {
    const first = await get(`${server.base}/models/${NAME}`);
    assert.equal(first.code, 0);
    // On a busy machine lines before the last one tell how far it is.
    assert.match(
      first.err,
      /^(tiny-\w+\.pth: \d+ kB of 400 kB.*\n)*tiny-\w+\.pth: 400 kB of 400 kB, .*\/s, 0:00 left\n$/,
    );
    assert.equal(first.out, `${join(cache, NAME)}: 400 kB, SHA-256 checked\n`);
    assert.deepEqual(readdirSync(cache), [NAME]);
    assert.deepEqual(readFileSync(join(cache, NAME)), content);
    const second = await get(`${server.base}/models/${NAME}`);
    assert.match(second.out, /is there already, 400 kB, SHA-256 checked/);
    assert.equal(server.requests.length, 1);
    writeFileSync(join(cache, NAME), 'damaged');
    const third = await get(`${server.base}/models/${NAME}`);
    assert.match(third.err, /its SHA-256 does not begin with .*: it is fetched anew/);
    assert.deepEqual(readFileSync(join(cache, NAME)), content);
  });

  test('stopped by Ctrl+C or killed in the middle, goes on from there the next time', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGKILL', null],
    ] as const) {
      server.silentAfter(150_000);
      const { child, ended } = start(['weights', 'get', `${server.base}/models/${NAME}`]);
      const partial = join(cache, `${NAME}.partial`);
      while ((statSync(partial, { throwIfNoEntry: false })?.size ?? 0) < 150_000) await setTimeout(5);
      child.kill(signal);
      assert.equal((await ended).code, code);
      assert.ok(!existsSync(join(cache, NAME)));
      server.forget();
      assert.equal((await get(`${server.base}/models/${NAME}`)).code, 0);
      assert.equal(server.requests[0]!.range, 'bytes=150000-');
      assert.deepEqual(readFileSync(join(cache, NAME)), content);
      assert.deepEqual(readdirSync(cache), [NAME]);
      rmSync(join(cache, NAME));
    }
  });

  test('a damaged file gets no name', async () => {
    const { code, err } = await get(`${server.base}/damaged/${NAME}`);
    assert.equal(code, 1);
    isOneLine(err, /damaged\/tiny-\w+\.pth: its SHA-256 begins with \w{8} \(expected \w{8}\): .*run the command again/);
    assert.ok(!existsSync(join(cache, NAME)));
  });

  test('takes the names of weights list, from a mirror, whose file has to have the size', async () => {
    const mirror = `${server.base}/models/`;
    for (const { code, err } of [
      await goshawk(['weights', 'get', 'resnet18', '--mirror', mirror]),
      await get('resnet18', { GOSHAWK_WEIGHTS_MIRROR: mirror }),
    ]) {
      assert.equal(code, 1);
      isOneLine(
        err,
        /models\/resnet18-f37072fd\.pth: has 400000 bytes \(expected 468\d{5}, give or take 525\): it is another/,
      );
    }
    const gone = await goshawk(['weights', 'get', 'resnet34', '--mirror', mirror]);
    isOneLine(
      gone.err,
      /resnet34-b627a593\.pth: the server answers 404 Not Found: check the address, or name a mirror/,
    );
    assert.ok(!existsSync(cache));
  });

  test('without a network says so in a line', async () => {
    const gone = await startFileServer(new Map());
    await gone.close();
    const { code, err } = await goshawk(['weights', 'get', 'resnet18', '--mirror', gone.base]);
    assert.equal(code, 1);
    isOneLine(err, /cannot be reached \(ECONNREFUSED\): check the network, or name a mirror/);
    assert.ok(!existsSync(cache));
  });

  test('has nothing to fetch of what comes with the package', async () => {
    const { code, out } = await goshawk(['weights', 'get', 'shapes_resnet18_tiny']);
    assert.equal(code, 0);
    assert.match(out, /shapes_resnet18_tiny\.safetensors: comes with this package, nothing is fetched/);
    assert.equal(server.requests.length, 0);
  });

  test('says what is wrong with what it is asked for before anything is sent', async () => {
    for (const [args, expected] of [
      [
        ['maskrcnn_resnet50'],
        /maskrcnn_resnet50: no such weights are known: did you mean maskrcnn_resnet50_fpn_coco, /,
      ],
      [['banana'], /banana: no such weights are known: take one of goshawk weights list/],
      [['http://127.0.0.1/model.pth'], /model\.pth: its name does not end with digits of its SHA-256/],
      [['resnet18', '--mirror', 'ftp://x'], /--mirror ftp:\/\/x: is no address/],
    ] as const) {
      const { code, err } = await goshawk(['weights', 'get', ...args]);
      assert.equal(code, 2);
      isOneLine(err, expected);
    }
    assert.equal(server.requests.length, 0);
  });

  test('at the limit of what a file may be, keeps what has come', async () => {
    const { code, err } = await get(`${server.base}/models/${NAME}`, { limit: 'ulimit -f 200;' });
    assert.equal(code, 1);
    isOneLine(err, /\.partial: is larger than the system lets a file become: .*; the 0\.2 MB that have come are kept/);
    const kept = statSync(join(cache, `${NAME}.partial`)).size;
    assert.equal(kept, 200 * 1024);
    server.forget();
    assert.equal((await get(`${server.base}/models/${NAME}`)).code, 0);
    assert.equal(server.requests[0]!.range, `bytes=${kept}-`);
  });

  test('on a full disk, known before or in the middle, leaves no file', { skip: !mayMount() }, async () => {
    mkdirSync(cache, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', cache]);
    try {
      const known = await get(`${server.base}/models/${NAME}`);
      assert.equal(known.code, 1);
      isOneLine(
        known.err,
        /the disk has 0\.3 MB left \(expected at least 0\.4 MB, for the rest of the file\): make room/,
      );
      server.tellsLength = false;
      const late = await get(`${server.base}/models/${NAME}`);
      assert.equal(late.code, 1);
      isOneLine(
        late.err,
        /\.partial: the disk is full: make room or choose another place; the 0\.\d MB that have come are kept/,
      );
      assert.ok(!existsSync(join(cache, NAME)));
    } finally {
      execFileSync('umount', [cache]);
    }
  });

  test('shows rate and time left', () => {
    const lines: string[] = [];
    let time = 0;
    const tell = progressOf(
      'a.pth',
      (text) => lines.push(text),
      () => time,
    );
    tell(50e6, 200e6);
    time = 10_000;
    tell(100e6, 200e6);
    assert.deepEqual(lines, ['a.pth: 50 MB of 200 MB', 'a.pth: 100 MB of 200 MB, 5 MB/s, 0:20 left']);
  });
});

describe('weights by name', () => {
  test('list tells address, size, checksum, licence, config and whether a file is here', async () => {
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'resnet18-f37072fd.pth'), '');
    const { out } = await goshawk(['weights', 'list', '--json']);
    const entries = JSON.parse(out) as Record<string, unknown>[];
    assert.equal(entries.length, packagedWeights.length + publishedWeights.length);
    const [own] = entries;
    assert.deepEqual([own!.name, own!.url, own!.licence], ['shapes_resnet18_tiny', null, 'MIT']);
    assert.equal(statSync(own!.file as string).size, own!.bytes);
    const { figure, parameters, ...mask } = entries.find(({ name }) => name === 'maskrcnn_resnet50_fpn_coco')!;
    assert.deepEqual(mask, {
      name: 'maskrcnn_resnet50_fpn_coco',
      url: 'https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth',
      bytes: 178090148,
      sha256: 'bf2d0c1e',
      licence: 'BSD-3-Clause',
      part: 'detector',
      trainedOn: 'COCO 2017',
      config: 'configs/torchvision/mask_rcnn_r50_fpn.yaml',
      set: ['model.backbone.normEps=0'],
      file: null,
    });
    assert.equal(entries.find(({ name }) => name === 'resnet18')!.file, join(cache, 'resnet18-f37072fd.pth'));
    const table = await goshawk(['weights', 'list']);
    assert.match(
      table.out,
      /^shapes_resnet18_tiny +6 MB +generated shapes, no photos +yes +--set \.\.\.depth=18 --set \.\.\.width=32$/m,
    );
    assert.match(
      table.out,
      /^resnet18 +47 MB +f37072fd +ImageNet-1K: top-1 69\.758 +yes +faster_rcnn_r50_fpn\.yaml --set \.\.\.depth=18$/m,
    );
  });

  test('where a file is not here, train, eval and predict say the command and fetch nothing', async () => {
    const config = 'configs/torchvision/mask_rcnn_r50_fpn.yaml';
    const [name, mirror] = ['resnet18', { GOSHAWK_WEIGHTS_MIRROR: server.base }];
    const said = (option: string): RegExp =>
      new RegExp(`${option} resnet18: is not in .*weights: get it with goshawk weights get resnet18 \\(47 MB\\)`);
    for (const [args, option] of [
      [['train', config, '--init', name, '--no-save'], '--init'],
      [['eval', config, '--weights', name], '--weights'],
      [['predict', config, '--weights', name, '.'], '--weights'],
    ] as const) {
      const { code, err } = await goshawk(args, mirror);
      assert.equal(code, 2);
      isOneLine(err, said(option));
    }
    assert.equal(server.requests.length, 0);
  });

  test('a path comes first, then the name; the checksum is looked at before each use', () => {
    const before = process.env.GOSHAWK_WEIGHTS;
    process.env.GOSHAWK_WEIGHTS = folder;
    try {
      const file = join(folder, 'resnet18-f37072fd.pth');
      writeFileSync(file, 'cut');
      assert.equal(findWeights(file, '--init'), file);
      assert.throws(
        () => findWeights('resnet18', '--init'),
        /its SHA-256 does not begin with f37072fd, .*remove it and get it anew/,
      );
      assert.throws(
        () => findWeights('resnet19', '--init'),
        /^InputError: resnet19: no such file: check the path, or take a name/,
      );
      assert.throws(() => findWeights('a/b.pth', '--init'), /^InputError: a\/b\.pth: no such file: check the path$/);
    } finally {
      if (before === undefined) delete process.env.GOSHAWK_WEIGHTS;
      else process.env.GOSHAWK_WEIGHTS = before;
    }
    assert.equal(weightsCacheFolder({ XDG_CACHE_HOME: '/x' }), '/x/goshawk/weights');
    assert.match(weightsCacheFolder({}), /\.cache\/goshawk\/weights$/);
  });
});
