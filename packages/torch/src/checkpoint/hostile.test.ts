// Files made to run code or to take the program down: see fixtures/make_fixtures.py for what each tries.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, checkpointErrorOf, fixture, fixtureNames, temporaryFile } from '../testing/checkpoint-files.js';
import { CheckpointError } from './checkpoint-error.js';
import { readCheckpoint } from './pth.js';
import { readStateDict } from './state-dict.js';

/** What other programs take of the processors counts for nothing. */
const processorMs = (): number => process.cpuUsage().user / 1000;

const attacks = new Map([
  ['hostile-reduce-os-system.pkl', /byte 2: .*"os.system".*do not trust this file/],
  ['hostile-eval.pkl', /"builtins.eval"/],
  ['hostile-inst-subprocess.pkl', /"subprocess.Popen"/],
  ['hostile-newobj-posix.pkl', /"posix.DirEntry"/],
  ['hostile-build-setstate.pkl', /"webapp.shell.Runner"/],
  ['hostile-build-class.pkl', /BUILD sets attributes of a class/],
  ['hostile-extension.pkl', /extension code/],
  ['hostile-call-result.pkl', /calls something that is not a named class/],
  ['hostile.pth', /"os.system"/],
]);

for (const [name, message] of attacks) {
  test(`${name} is refused with file and offset`, () => {
    const error = checkpointErrorOf(() => readCheckpoint(fixture(name)), 'pickle-forbidden', fixture(name));
    assert.match(error.message, message);
    assert.equal(typeof error.offset, 'number');
  });
}

test('control characters in names do not reach the message', () => {
  const file = temporaryFile(bytes('cos\x1b[31m\rx\nsystem\n)R.'));
  const error = checkpointErrorOf(() => readCheckpoint(file), 'pickle-forbidden');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  assert.doesNotMatch(error.message, /[\x00-\x1f]/);
});

test('lists of lists that would take 10^30 steps to walk are read and refused at once', () => {
  let content = `}U\x05model}U\x01a(${'N'.repeat(10)}lp0\n`;
  for (let level = 1; level <= 30; level++) content += `0(${`g${level - 1}\n`.repeat(10)}lp${level}\n`;
  const file = temporaryFile(bytes(content, 'ss.'));
  const start = processorMs();
  checkpointErrorOf(() => readStateDict(file), 'no-state-dict');
  assert.ok(processorMs() - start < 5000);
});

test('dicts that share a long dict are refused after a bounded number of steps', () => {
  const tensor =
    'cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(tU\x01btR(K\x01(tcnumpy\ndtype\n(U\x02f4K\x00K\x01tR\x89U\x04abcdtb';
  let content = `}(${Array.from({ length: 200 }, (_, i) => `I${i}\n${i === 0 ? `${tensor}p100\n` : 'g100\n'}`).join('')}up0\n0`;
  for (let level = 1; level <= 6; level++) {
    content += `}(${Array.from({ length: 200 }, (_, i) => `I${i}\ng${level - 1}\n`).join('')}up${level}\n${level < 6 ? '0' : ''}`;
  }
  const file = temporaryFile(bytes(content, '.'));
  const start = processorMs();
  checkpointErrorOf(() => readStateDict(file), 'too-large');
  assert.ok(processorMs() - start < 20_000);
});

test('tensors expanded from one element to more than memory are refused', () => {
  // A .pth in the legacy format whose only tensor has the shape [2^40] with stride 0.
  const pickle = (text: string) => `\x80\x02${text}.`;
  const shape = `\x8a\x06\0\0\0\0\0\x01`;
  const content =
    pickle('\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19') +
    pickle('M\xe9\x03') +
    pickle('}') +
    pickle(
      `}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01NtQK\0(${shape}t(K\0t\x89NtRs`,
    ) +
    pickle(']U\x010a') +
    '\x01\0\0\0\0\0\0\0abcd';
  const error = checkpointErrorOf(() => readStateDict(temporaryFile(bytes(content))), 'too-large');
  assert.match(error.message, /repeats 1 elements to 1099511627776/);
});

test('an array whose shape list is changed after it was made keeps the checked shape', () => {
  const array =
    'cnumpy\ndtype\n(U\x02f4tRp0\n0]p1\n(K\x01e0cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR';
  const content = `}U\x01w${array}(K\x01g1\ng0\n\x89U\x04\0\0\x80?tbsU\x01xg1\n(M\xff\xff\x8a\x05\0\0\0\0\x01es.`;
  const file = readStateDict(temporaryFile(bytes(content)));
  const { shape, data } = file.tensors.get('w')!.materialize();
  assert.deepEqual([shape, [...data]], [[1], [0, 0, 0x80, 0x3f]]);
  file.close();
});

/** The legacy format up to its object, in which persistent ids mean storages. */
const legacyStart = '\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.';
const atoms = [
  ...[
    'N',
    '\x88',
    '\x89',
    'K\x01',
    'K\x00',
    'K\x02',
    'M\xff\xff',
    'J\xff\xff\xff\xff',
    '\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f',
  ],
  ...[
    'G\x7f\xf0\0\0\0\0\0\0',
    'U\x02f4',
    'U\x02O8',
    'U\x02>u',
    'U\x01a',
    'U\x01b',
    'C\x04abcd',
    'U\x08abcdefgh',
    'X\x06\0\0\0latin1',
    'U\x01>',
    'U\x01F',
    'U\x01K',
  ],
  ...[
    'U\x05model',
    'U\x0astate_dict',
    '(K\x01K\x02t',
    '(K\x02t',
    '(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02NtQ',
  ],
  ...[
    'cnumpy\ndtype\n(U\x02f4K\x00K\x01tR',
    'cnumpy\ndtype\n(U\x02u8tR',
    'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR',
  ],
];
const callables = (
  'numpy.ndarray numpy.dtype numpy.core.multiarray._reconstruct numpy.core.multiarray.scalar numpy.core.numeric._frombuffer ' +
  '_codecs.encode collections.OrderedDict collections.defaultdict __builtin__.set __builtin__.bytearray __builtin__.list ' +
  'copy_reg._reconstructor argparse.Namespace torch.Size torch.device torch.FloatStorage torch.int64 torch._utils._rebuild_tensor ' +
  'torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3 torch._utils._rebuild_parameter torch._tensor._rebuild_from_type_v2'
)
  .split(' ')
  .map((path) => `c${path.slice(0, path.lastIndexOf('.'))}\n${path.slice(path.lastIndexOf('.') + 1)}\n`);
/** Well-formed opcodes of a value: any of the allow-list called with, or given as state, anything else. */
const { value: randomValue } = fc.letrec<{ value: string; many: string }>((tie) => ({
  many: fc.array(tie('value'), { maxLength: 6 }).map((items) => `(${items.join('')}`),
  value: fc.oneof(
    { maxDepth: 5 },
    { arbitrary: fc.constantFrom(...atoms, ...callables), weight: 3 },
    {
      arbitrary: fc.tuple(fc.constantFrom(...callables), tie('many')).map(([type, args]) => `${type}${args}tR`),
      weight: 3,
    },
    { arbitrary: fc.tuple(tie('value'), tie('many')).map(([object, state]) => `${object}${state}tb`), weight: 2 },
    tie('many').map((items) => `${items}t`),
    fc.tuple(tie('value'), tie('many')).map(([list, items]) => `${list}${items}e`),
    fc.tuple(tie('value'), tie('value'), tie('value')).map(([dict, key, value]) => `${dict}${key}${value}s`),
    tie('value').map((value) => `}U\x01k${value}s`),
  ),
}));

for (const [context, start, end] of [
  ['a plain pickle', '\x80\x02}U\x01w', 's.'],
  ['a legacy .pth', `${legacyStart}\x80\x02}U\x01w`, 's.\x80\x02]U\x010a.\x02\0\0\0\0\0\0\0abcdefgh'],
] as const) {
  test(`random calls in ${context} give values or a CheckpointError, nothing else`, () => {
    fc.assert(
      fc.property(randomValue, (opcodes) => {
        readAll(temporaryFile(bytes(start, opcodes, end), 'random'));
      }),
      { numRuns: 4000 },
    );
  });
}

for (const name of fixtureNames()) {
  test(`${name}: changed and cut bytes give its tensors or a CheckpointError, nothing else`, () => {
    const whole = readFileSync(fixture(name));
    const change = fc.record({ at: fc.nat({ max: whole.length - 1 }), value: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.option(fc.nat({ max: whole.length }), { freq: 5 }),
        (changes, size) => {
          const damaged = Buffer.from(whole);
          for (const { at, value } of changes) damaged[at] = value;
          const file = temporaryFile(damaged.subarray(0, size ?? undefined), 'damaged');
          readAll(file);
        },
      ),
      { numRuns: 300 },
    );
  });
}

/** Reads every tensor of a file; only a CheckpointError that names the file may come out, and soon. */
function readAll(file: string): void {
  const start = processorMs();
  try {
    const opened = readStateDict(file);
    try {
      for (const tensor of opened.tensors.values()) tensor.materialize();
    } finally {
      opened.close();
    }
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    assert.ok(error.message.startsWith(`${file}: `), error.message);
  }
  assert.ok(processorMs() - start < 5000, 'takes less than 5 s');
}
