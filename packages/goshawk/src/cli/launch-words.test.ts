import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { splitLaunchWords } from './launch-words.js';

const split = (line: string): string => splitLaunchWords(line.split(' ')).join(' ');

describe('splitLaunchWords', () => {
  test('parts the command that is run from the options of the launch', () => {
    assert.equal(
      split('launch --nnodes 2 --node_rank=0 --master_addr 10.0.0.1 train c.yaml --set a_b.c_d=1'),
      'launch --nnodes 2 --node-rank=0 --master-addr 10.0.0.1 -- train c.yaml --set a_b.c_d=1',
    );
    assert.equal(split('launch --nodes 2 -- eval c.yaml --x_y'), 'launch --nodes 2 -- eval c.yaml --x_y');
  });

  test('leaves what has no such command, and other commands', () => {
    assert.equal(split('launch --help'), 'launch --help');
    assert.equal(split('train launch --some_thing eval'), 'train launch --some_thing eval');
  });
});
