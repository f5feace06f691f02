import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { environmentOf, placeFromEnvironment } from './rank-place.js';

const torchrun = { RANK: '3', WORLD_SIZE: '4', LOCAL_RANK: '1', MASTER_ADDR: '10.0.0.1', MASTER_PORT: '29500' };
const place = { rank: 3, size: 4, localRank: 1, host: '10.0.0.1', port: 29_500 };

describe("a process's place among others", () => {
  test("is read from torchrun's variables", () => {
    assert.deepEqual(placeFromEnvironment(torchrun), place);
    assert.deepEqual(placeFromEnvironment({ ...torchrun, LOCAL_WORLD_SIZE: '2' }), { ...place, localSize: 2 });
  });
  test('is read as it is written', () => {
    for (const own of [place, { ...place, localSize: 2 }])
      assert.deepEqual(placeFromEnvironment(environmentOf(own)), own);
  });
  test("keeps beside the store of torchrun's agents", () => {
    assert.equal(placeFromEnvironment({ ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'True' })?.port, 29_501);
  });
  test('is none where the environment speaks of no other process', () => {
    assert.equal(placeFromEnvironment({}), undefined);
    assert.equal(placeFromEnvironment({ RANK: '0', WORLD_SIZE: '1' }), undefined);
    assert.equal(placeFromEnvironment({ WORLD_SIZE: '' }), undefined);
  });
  test('is refused by the name of the variable that is missing or wrong', () => {
    for (const name of ['RANK', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'])
      assert.throws(
        () => placeFromEnvironment({ ...torchrun, [name]: undefined }),
        (error) => error instanceof InputError && error.message.startsWith(`${name}: is not set`),
      );
    for (const [name, value] of [
      ['RANK', '4'],
      ['RANK', 'first'],
      ['WORLD_SIZE', '0'],
      ['MASTER_PORT', '70000'],
    ] as const)
      assert.throws(
        () => placeFromEnvironment({ ...torchrun, [name]: value }),
        (error) => error instanceof InputError && error.message.startsWith(`${name}=${value}: expected a whole number`),
      );
  });
});
