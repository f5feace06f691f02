// Opcodes as CPython's Lib/pickletools.py describes them; values of the fixtures come from Python (fixtures/make_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, checkpointErrorOf, fixture, temporaryFile } from '../testing/checkpoint-files.js';
import { ByteSource } from './byte-source.js';
import { unpickle } from './pickle.js';
import { NumpyArray, type PickleValue } from './pickle-values.js';
import { PickledBytes } from './pickled-bytes.js';
import { readCheckpoint } from './pth.js';

function load(...parts: readonly (number | string | Uint8Array)[]): PickleValue {
  const source = ByteSource.open(temporaryFile(bytes(...parts), 'pickle'));
  try {
    return unpickle(source).value;
  } finally {
    source.close();
  }
}

for (let protocol = 0; protocol <= 5; protocol++) {
  test(`Python values of protocol ${protocol} arrive with their values`, () => {
    const { root, close } = readCheckpoint(fixture(`numpy-${protocol}.pkl`));
    assert.ok(root instanceof Map);
    assert.equal(root.get('cfg'), 'MODEL:\n  TYPE: généralisé\n');
    assert.equal(root.get('text'), "tab\t quote' back\\slash \u{1f600} \\u0041");
    assert.equal(root.get('lr'), 0.25);
    assert.equal(root.get('count'), 2n ** 62n);
    assert.equal(root.get('flag'), true);
    assert.equal(root.get('float'), 0.1);
    assert.equal(root.get('infinite'), Number.NEGATIVE_INFINITY);
    assert.equal(root.get('long'), -(2n ** 70n));
    assert.deepEqual(root.get('frozen'), new Set([4]));
    assert.deepEqual(
      [...(root.get('order') as Map<string, number>)],
      [
        ['z', 1],
        ['a', 2],
      ],
    );
    assert.deepEqual(root.get('counts'), new Map([['k', [1]]]));
    for (const [key, content] of [
      ['raw', [0, 255]],
      ['array', [97, 98, 99]],
    ] as const) {
      const value = root.get(key);
      assert.ok(value instanceof PickledBytes);
      assert.deepEqual([...value.read()], content);
    }
    const objects = root.get('objects');
    assert.ok(objects instanceof NumpyArray && objects.objects);
    assert.deepEqual(objects.objects.slice(0, 3), [1, 'x', null]);
    assert.ok(objects.objects[3] instanceof NumpyArray);
    close();
  });
}

test('Python 2 strings are latin1, one character a byte', () => {
  const { root, close } = readCheckpoint(fixture('detectron-python2.pkl'));
  assert.ok(root instanceof Map);
  assert.equal(root.get('cfg'), `NAME: caf\xe9\n${'# long\n'.repeat(60)}`);
  assert.equal(root.get('iter'), 7);
  close();
  assert.equal(load('U', 3, '\x80\x9f\xff', '.'), '\x80\x9f\xff');
  assert.equal(load("S'\\x00\\n\\\\\\'\\377a'\n."), "\x00\n\\'\xffa");
});

test('integers of LONG1 and LONG4 are signed and of any length', () => {
  assert.equal(load(0x8a, 0, '.'), 0);
  assert.equal(load(0x8a, 1, 0xff, '.'), -1);
  assert.equal(load(0x8a, 2, 0xff, 0x00, '.'), 255);
  assert.equal(load(0x8a, 9, '\0\0\0\0\0\0\0\0\x80', '.'), -(2n ** 71n));
  assert.equal(load(0x8b, 2, 0, 0, 0, 0x00, 0x80, '.'), -32768);
  assert.equal(load('L-123456789012345678901L\n.'), -123456789012345678901n);
  assert.equal(load('I-7\n.'), -7);
  assert.equal(load('I01\n.'), true);
  assert.equal(load('J', 0xfe, 0xff, 0xff, 0xff, '.'), -2);
  assert.equal(load('F-1.5e3\n.'), -1500);
});

test('raw-unicode-escape reads \\u after an odd number of backslashes only', () => {
  assert.equal(load('V\\u0041\\\\u0041\\\\\\u0041\\U0001f600\\x\xe9\n.'), 'A\\\\u0041\\\\A\u{1f600}\\x\xe9');
});

test('strings too long for memory stay in the file, and serve as bytes and text', () => {
  const length = 100_000;
  const content = bytes('\x01\xff'.repeat(length / 2));
  const size = Buffer.alloc(4);
  size.writeInt32LE(length);
  const source = ByteSource.open(temporaryFile(bytes('(T', size, content, 'X', size, 'a'.repeat(length), 't.')));
  const { value, end } = unpickle(source);
  assert.ok(Array.isArray(value));
  const [python2, unicode] = value;
  assert.ok(python2 instanceof PickledBytes && unicode instanceof PickledBytes);
  assert.deepEqual([...python2.read(0, 2)], [1, 255]);
  assert.equal(python2.text().length, length);
  assert.equal(unicode.text(), 'a'.repeat(length));
  assert.equal(end, source.size);
  source.close();
});

test('arrays of Python 3 at protocol 2, whose bytes are text, may be long', () => {
  // 'é' is two bytes of UTF-8 and one of latin1.
  const count = 70_000;
  const text = Buffer.from('é'.repeat(count), 'utf8');
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  const value = load('c_codecs\nencode\nX', size, text, 'X', 6, 0, 0, 0, 'latin1', 0x86, 'R.');
  assert.ok(value instanceof PickledBytes);
  assert.equal(value.byteLength, count);
  assert.ok(value.read().every((byte) => byte === 0xe9));
});

test('memo, marks and stack follow the opcodes', () => {
  assert.deepEqual(load('(K', 1, 'K', 2, 'l2', 0x86, '.'), [
    [1, 2],
    [1, 2],
  ]);
  assert.deepEqual(load(']p5\n0g5\n.'), []);
  assert.deepEqual(load('K', 1, '(K', 2, 'K', 3, '1.'), 1);
  assert.deepEqual(load('(K', 1, 'K', 2, 'd.'), new Map([[1, 2]]));
  assert.deepEqual(load(0x8f, '(K', 1, 'K', 1, 0x90, '.'), new Set([1]));
  assert.deepEqual(load('K', 1, 'K', 2, 'K', 3, 0x87, '.'), [1, 2, 3]);
  const list = load(']q', 0, 'h', 0, 'a.');
  assert.ok(Array.isArray(list) && list[0] === list, 'a list may hold itself');
});

test('dict keys that are bytes become text, and __proto__ is a key like others', () => {
  assert.deepEqual(load('}C', 1, 'a', 'K', 1, 's.'), new Map([['a', 1]]));
  const dict = load('}U', 9, '__proto__', '}U', 8, 'polluted', 'K', 1, 'ss.');
  assert.ok(dict instanceof Map);
  assert.ok(!('polluted' in {}));
  assert.deepEqual(dict.get('__proto__'), new Map([['polluted', 1]]));
});

test('opcodes that make no sense are errors at their offset', () => {
  const cases: [readonly (number | string)[], number, RegExp][] = [
    [['N', 0xfe], 1, /unknown opcode 0xfe/],
    [['K', 1, '0.'], 3, /stack is empty/],
    [['(K', 1, 'K', 2, 'K', 3, 'd.'], 7, /key without a value/],
    [['h', 3, '.'], 0, /memo 3 was never stored/],
    [['t.'], 0, /no MARK/],
    [[0x80, 6, '.'], 0, /protocol 6/],
    [['K', 1, 'K', 2, 'a.'], 4, /APPEND/],
    [['K', 1, 'K', 2, 'K', 3, 's.'], 6, /SETITEM/],
    [['Pid\n.'], 0, /persistent id/],
    [['K', 1, 'Q.'], 2, /persistent id/],
    [[0x97, '.'], 0, /outside the file/],
    [['I1x\n.'], 0, /integer is not decimal/],
    [['F1..\n.'], 0, /number is not decimal/],
    [['S1\n.'], 0, /not in quotes/],
    [['X', 1, 0, 0, 0, 0xff, '.'], 0, /UTF-8/],
  ];
  for (const [parts, offset, message] of cases) {
    const error = checkpointErrorOf(() => load(...parts), 'pickle-invalid');
    assert.match(error.message, message);
    assert.ok(error.offset !== undefined && error.offset >= offset, error.message);
  }
});

test('numbers given as a list of objects are refused, for arrays and for scalars', () => {
  const dtype = 'cnumpy\ndtype\n(U\x02f4tR';
  checkpointErrorOf(() => load(`cnumpy.core.multiarray\nscalar\n(${dtype}(NttR.`), 'tensor-invalid');
  checkpointErrorOf(() => load(`cnumpy\nndarray\n)R(K\x01(K\x01t${dtype}\x89(Nttb.`), 'tensor-invalid');
});

test('lengths beyond the file are refused before memory is taken', () => {
  const huge = '\xff\xff\xff\x7f';
  for (const opcode of ['T', 'X', 'B']) checkpointErrorOf(() => load(opcode, huge, 'abc.'), 'truncated');
  for (const opcode of [0x8d, 0x8e, 0x96, 0x95])
    checkpointErrorOf(() => load(opcode, '\xff\xff\xff\xff\xff\xff\xff\x7f', 'abc.'), 'truncated');
  checkpointErrorOf(() => load(0x8b, huge, '.'), 'too-large');
  checkpointErrorOf(() => load('T', '\xff\xff\xff\xff', '.'), 'pickle-invalid');
  checkpointErrorOf(() => load('K', 1), 'truncated');
});

test('a file of millions of empty dicts, or copies of a long list, is refused', () => {
  checkpointErrorOf(() => load('}'.repeat(2_300_000), '.'), 'too-large');
  const list = `](${'N'.repeat(100_000)}e`;
  checkpointErrorOf(
    () => load('c__builtin__\nlist\nq', 0, '0', list, 0x85, 'q', 1, '0', `h\0h\x01R0`.repeat(1000), 'N.'),
    'too-large',
  );
});

test('lists nested a million deep do not overflow the stack', () => {
  const deep = load(']'.repeat(1_000_000), 'a'.repeat(999_999), '.');
  assert.ok(Array.isArray(deep));
});
