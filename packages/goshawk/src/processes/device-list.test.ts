import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { parseDevices } from './device-list.js';

const none = (): number => assert.fail('the cards are not asked for');

describe('a list of devices', () => {
  test('is processes on the processor, every card, or some cards', () => {
    assert.deepEqual(parseDevices('cpu', none), ['cpu']);
    assert.deepEqual(parseDevices('cpu:3', none), ['cpu', 'cpu', 'cpu']);
    assert.deepEqual(
      parseDevices('cuda', () => 2),
      ['cuda:0', 'cuda:1'],
    );
    assert.deepEqual(parseDevices('cuda:1', none), ['cuda:1']);
    assert.deepEqual(parseDevices('cuda:0,2', none), ['cuda:0', 'cuda:2']);
  });
  test('is refused by name otherwise', () => {
    for (const text of [
      '',
      'gpu',
      'cpu:0',
      'cpu:2,3',
      'cpu:1000',
      'cuda:',
      'cuda:0,',
      'cuda:1,1',
      'cuda:-1',
      'cuda:0;1',
    ])
      assert.throws(
        () => parseDevices(text, none),
        (error) => error instanceof InputError && error.message.startsWith(`--devices ${text}:`),
        text,
      );
    assert.throws(() => parseDevices('cuda', () => 0), /there is no card here/);
  });
});
