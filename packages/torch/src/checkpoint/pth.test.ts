// Expected bytes come from torch 2.14 and numpy 2.4 (fixtures/make_fixtures.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  bytes,
  checkpointErrorOf,
  describeTensors,
  expectedContents,
  fixture,
  fixtureNames,
  temporaryFile,
} from '../testing/checkpoint-files.js';
import { OpaqueObject, PickleGlobal } from './pickle-values.js';
import { PickledTensor } from './pickled-tensor.js';
import { readCheckpoint } from './pth.js';
import { findStateDict, readStateDict } from './state-dict.js';

for (const [name, expected] of Object.entries(expectedContents())) {
  test(`${name}: every tensor has the bytes that Python saved`, () => {
    const file = readStateDict(fixture(name));
    assert.deepEqual(describeTensors(file.tensors), expected.tensors);
    assert.deepEqual(file.path, expected.path);
    file.close();
  });
}

test('formats are told apart by content', () => {
  const formats = new Map([
    ['zip.pth', 'zip'],
    ['legacy.pth', 'legacy'],
    ['legacy-protocol-4.pth', 'legacy'],
    ['tar.pth', 'tar'],
    ['numpy-0.pkl', 'pickle'],
    ['detectron-python2.pkl', 'pickle'],
  ]);
  for (const [name, format] of formats) {
    const unnamed = temporaryFile(readFileSync(fixture(name)));
    const checkpoint = readCheckpoint(unnamed);
    assert.equal(checkpoint.format, format, name);
    checkpoint.close();
  }
});

for (const name of ['zip.pth', 'legacy.pth', 'legacy-protocol-4.pth']) {
  test(`${name}: what is no tensor arrives as plain values, unknown classes as inert records`, () => {
    const { root, close } = readCheckpoint(fixture(name));
    assert.ok(root instanceof Map);
    assert.equal(root.get('epoch'), 12);
    assert.equal(root.get('lr'), 0.02);
    const meta = root.get('meta');
    assert.ok(meta instanceof Map);
    assert.deepEqual(meta.get('classes'), ['cat', 'dög']);
    assert.equal(meta.get('big'), 2n ** 80n);
    assert.equal(meta.get('negative'), -(2 ** 40));
    assert.deepEqual(meta.get('seen'), new Set([1, 2]));
    assert.deepEqual(meta.get('size'), [2, 3]);
    assert.equal(meta.get('device'), 'cuda:1');
    assert.equal(meta.get('none'), null);
    assert.equal(meta.get('__proto__'), 'kept');
    const dtype = meta.get('dtype');
    assert.ok(dtype instanceof PickleGlobal);
    assert.equal(dtype.path, 'torch.float16');
    const config = meta.get('config');
    assert.ok(config instanceof OpaqueObject);
    assert.equal(config.path, 'someproject.config.ConfigDict');
    assert.deepEqual(config.entries, new Map([['a', 1]]));
    const hook = meta.get('hook');
    assert.ok(hook instanceof OpaqueObject);
    assert.deepEqual(hook.state, new Map([['calls', 3]]));
    close();
  });
}

test('tensors that share a storage in Python share it here', () => {
  for (const name of ['zip.pth', 'legacy.pth']) {
    const file = readStateDict(fixture(name));
    const a = file.tensors.get('shared.a');
    const b = file.tensors.get('shared.b');
    assert.ok(a instanceof PickledTensor && b instanceof PickledTensor);
    assert.equal(a.storage, b.storage);
    assert.equal(b.storageOffset, 4);
    file.close();
  }
});

test('weights averaged over training are taken when they are preferred', () => {
  const plain = readStateDict(fixture('ema.pth'));
  const averaged = readStateDict(fixture('ema.pth'), { prefer: ['ema'] });
  assert.deepEqual(plain.path, ['model']);
  assert.deepEqual(averaged.path, ['ema']);
  assert.deepEqual([...new Float32Array(plain.tensors.get('bias')!.materialize().data.buffer)], [1, 2]);
  assert.deepEqual([...new Float32Array(averaged.tensors.get('bias')!.materialize().data.buffer)], [2, 3]);
  assert.equal(plain.rest.get('epoch'), 3);
  plain.close();
  averaged.close();
});

test('"module." is dropped only where all names have it', () => {
  const { root, close } = readCheckpoint(fixture('bare.pth'));
  assert.ok(root instanceof Map);
  const weight = root.get('weight')!;
  const all = new Map([
    ['module.module.a', weight],
    ['module.module.b', weight],
  ]);
  assert.deepEqual([...findStateDict(all).tensors.keys()], ['a', 'b']);
  const some = new Map([
    ['module.a', weight],
    ['b', weight],
  ]);
  assert.deepEqual([...findStateDict(some).tensors.keys()], ['module.a', 'b']);
  close();
});

test('a state dict without anything else but training state is not mistaken for weights', () => {
  const { root, close } = readCheckpoint(fixture('bare.pth'));
  checkpointErrorOf(
    () =>
      findStateDict(
        new Map([
          ['optimizer', root],
          ['epoch', 1],
        ]),
      ),
    'no-state-dict',
  );
  close();
});

test('a tensor that cannot be read is an error only in the state dict, and is named', () => {
  const causes = new Map([
    ['complex.pth', /"weight" is a "torch.ComplexFloatStorage"/],
    ['uint32.pth', /"ids" is a "torch.uint32"/],
    ['sparse.pth', /"weight" is a "torch._utils._rebuild_sparse_tensor"/],
  ]);
  for (const [name, message] of causes) {
    const error = checkpointErrorOf(() => readStateDict(fixture(name)), 'tensor-unsupported', fixture(name));
    assert.match(error.message, message);
    readCheckpoint(fixture(name)).close();
  }
});

test('a whole model says what to save instead', () => {
  const error = checkpointErrorOf(() => readStateDict(fixture('whole-model.pth')), 'no-state-dict');
  assert.match(error.message, /"torch.nn.modules.linear.Linear" object, not a state dict: save its state_dict\(\)/);
});

test('reading a tensor after closing the file is an error that says so', () => {
  const file = readStateDict(fixture('bare.pth'));
  file.close();
  const error = checkpointErrorOf(() => file.tensors.get('weight')!.materialize(), 'file-unreadable');
  assert.match(error.message, /the file was closed/);
});

test('files that are something else are named for what they are', () => {
  const cases: [string | Uint8Array, RegExp][] = [
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0\n', /Git LFS pointer/],
    ['<!DOCTYPE html><html>404</html>', /web page/],
    ['hello', /not a weights file/],
    [bytes(0x08, 0x08, 0x12, 0x07), /ONNX file, whose weights are not read: give the weights/],
    [bytes(0xff, 0xd8, 0xff, 0xe0), /not a weights file/],
  ];
  for (const [content, message] of cases) {
    assert.match(checkpointErrorOf(() => readStateDict(temporaryFile(content)), 'format-unknown').message, message);
  }
  checkpointErrorOf(() => readStateDict(temporaryFile('')), 'truncated');
  checkpointErrorOf(() => readStateDict(fixture('no-such-file.pth')), 'file-not-found');
  checkpointErrorOf(() => readStateDict(fixture('.')), 'file-unreadable');
});

test('a file cut anywhere is an error with file and offset, or its remaining tensors are unharmed', () => {
  const contents = expectedContents();
  for (const name of fixtureNames().filter((fixtureName) => contents[fixtureName])) {
    const whole = readFileSync(fixture(name));
    for (let size = 0; size < whole.length - 1; size += 1 + Math.floor(whole.length / 150)) {
      const file = temporaryFile(whole.subarray(0, size), 'cut');
      try {
        const { tensors, close } = readStateDict(file);
        // A tar archive may lack its end, which is padding.
        assert.deepEqual(describeTensors(tensors), contents[name]!.tensors);
        close();
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        checkpointErrorOf(
          () => {
            throw error;
          },
          (error as { code: 'truncated' }).code,
          file,
        );
      }
    }
  }
});
