// Files for the tests of checkpoints: the fixtures, and temporary ones that go with the process.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CheckpointError, type CheckpointErrorCode } from '../checkpoint/checkpoint-error.js';
import type { LazyTensor, TensorData } from '../checkpoint/tensor-data.js';

const fixtures = fileURLToPath(new URL('../../src/checkpoint/fixtures/', import.meta.url));
let folder: string | undefined;
let files = 0;

/** What fixtures/make_fixtures.py says of a file: where the state dict is and each tensor's bytes. */
export interface Expected {
  readonly path: readonly string[];
  readonly tensors: Readonly<
    Record<string, { readonly dtype: string; readonly shape: readonly number[]; readonly hex: string }>
  >;
}

export function fixture(name: string): string {
  return path.join(fixtures, name);
}

/** All weights files among the fixtures. */
export function fixtureNames(): string[] {
  return readdirSync(fixtures).filter((name) => /\.(pth|pkl)$/.test(name));
}

export function expectedContents(): Readonly<Record<string, Expected>> {
  return JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<string, Expected>;
}

/** A path in a folder that is removed when the process ends. */
export function temporaryPath(name = `file-${files++}`): string {
  if (folder === undefined) {
    const made = mkdtempSync(path.join(tmpdir(), 'checkpoint-test-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return path.join(folder, name);
}

export function temporaryFile(bytes: Uint8Array | string, name?: string): string {
  const file = temporaryPath(name);
  writeFileSync(file, bytes);
  return file;
}

/** Bytes from numbers and from strings, whose characters are bytes. */
export function bytes(...parts: readonly (number | string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) =>
      typeof part === 'number'
        ? Buffer.of(part)
        : Buffer.from(typeof part === 'string' ? Buffer.from(part, 'latin1') : part),
    ),
  );
}

/** Contents in the form of expected.json. */
export function describeTensors(tensors: ReadonlyMap<string, LazyTensor>): Expected['tensors'] {
  return Object.fromEntries(
    [...tensors].map(([name, tensor]) => {
      const { dtype, shape, data } = tensor.materialize();
      return [name, { dtype, shape, hex: Buffer.from(data).toString('hex') }];
    }),
  );
}

export function float32(shape: readonly number[], values: readonly number[]): TensorData {
  return { dtype: 'float32', shape, data: new Uint8Array(new Float32Array(values).buffer) };
}

/** Runs what must fail; checks the error's class, code, file and that it is one line, and gives it back. */
export function checkpointErrorOf(action: () => unknown, code: CheckpointErrorCode, file?: string): CheckpointError {
  try {
    action();
  } catch (error) {
    assert.ok(
      error instanceof CheckpointError,
      `expected a CheckpointError, got ${error instanceof Error ? error.stack : String(error)}`,
    );
    assert.equal(error.code, code, error.message);
    assert.ok(!/[\r\n]/.test(error.message), 'the message is one line');
    if (file !== undefined) assert.ok(error.message.startsWith(`${file}: `), error.message);
    return error;
  }
  assert.fail(`expected a CheckpointError ${code}, nothing was thrown`);
}
