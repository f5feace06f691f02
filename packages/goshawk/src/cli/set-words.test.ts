import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinSetWords } from './set-words.js';

const joined = (line: string): string => joinSetWords(line.split(' ')).join(' ');

describe('joinSetWords', () => {
  test('leaves key=value as it is', () => {
    assert.equal(joined('train c.yaml --set a.b=1 --set c=2 --resume'), 'train c.yaml --set a.b=1 --set c=2 --resume');
  });

  test('joins a key in capitals with the next word, as often as they come', () => {
    assert.equal(
      joined('train c.yaml --set TEST.NMS 0.4 DEBUG True'),
      'train c.yaml --set TEST.NMS=0.4 --set DEBUG=True',
    );
    assert.equal(
      joined('train --set TEST.NMS=0.4 a.b=c TRAIN.SCALES (400,) c.yaml'),
      'train --set TEST.NMS=0.4 --set a.b=c --set TRAIN.SCALES=(400,) c.yaml',
    );
  });

  test('joins keys that come without --set, behind the other arguments', () => {
    assert.deepEqual(
      joinSetWords(['train', 'c.yaml', '--resume', 'SOLVER.IMS_PER_BATCH', '2', 'SOLVER.STEPS', '(480000, 640000)']),
      ['train', 'c.yaml', '--resume', '--set', 'SOLVER.IMS_PER_BATCH=2', '--set', 'SOLVER.STEPS=(480000, 640000)'],
    );
    assert.equal(
      joined('eval c.yaml --weights w.pth DATASETS.TEST (mine,) PATHS_CATALOG my.yaml'),
      'eval c.yaml --weights w.pth --set DATASETS.TEST=(mine,) --set PATHS_CATALOG=my.yaml',
    );
    assert.equal(joined('predict c.yaml IMG.JPG IMG.PNG'), 'predict c.yaml IMG.JPG IMG.PNG');
    assert.equal(joined('train c.yaml TEST.NMS'), 'train c.yaml TEST.NMS');
  });

  test('takes a negative number as a value and an option as none', () => {
    assert.equal(joined('--set TRAIN.RPN_STRADDLE_THRESH -1 --resume'), '--set TRAIN.RPN_STRADDLE_THRESH=-1 --resume');
    assert.equal(joined('--set TEST.NMS --resume'), '--set TEST.NMS --resume');
    assert.equal(
      joined('train c.yaml --set TEST.NMS 0.4 TEST.SCALE'),
      'train c.yaml --set TEST.NMS=0.4 --set TEST.SCALE',
    );
  });

  test('leaves what is no key to the others', () => {
    assert.equal(joined('predict --set TEST.NMS 0.4 photos/ b.jpg'), 'predict --set TEST.NMS=0.4 photos/ b.jpg');
    assert.equal(joined('predict c.yaml -- --set A B'), 'predict c.yaml -- --set A B');
    assert.equal(joined('train c.yaml --set wrong x'), 'train c.yaml --set wrong x');
    assert.equal(joined('train c.yaml --set'), 'train c.yaml --set');
  });
});
