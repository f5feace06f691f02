import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose, ops, randn, scope } from '@goshawk/torch';
import { RpnHead } from './rpn-head.js';

test('two convolutions run one after the other, each with a ReLU, and share their weights among the levels', () =>
  scope(() => {
    const head = new RpnHead({ inChannels: 4, hiddenChannels: 6, convolutions: 2, anchorsPerCell: 3 });
    assert.deepEqual(
      [...head.stateDict()].map(([name, { shape }]) => `${name} ${shape.join('x')}`),
      [
        'conv.0.0.weight 6x4x3x3',
        'conv.0.0.bias 6',
        'conv.1.0.weight 6x6x3x3',
        'conv.1.0.bias 6',
        'cls_logits.weight 3x6x1x1',
        'cls_logits.bias 3',
        'bbox_pred.weight 12x6x1x1',
        'bbox_pred.bias 12',
      ],
    );
    const levels = [randn([1, 4, 8, 8]), randn([1, 4, 4, 4])];
    const { logits } = head.forward(levels);
    for (const [index, level] of levels.entries()) {
      const first = ops.relu(head.conv[0]!.forward(level));
      const second = ops.relu(head.conv[1]!.forward(first));
      assertClose(logits[index]!, head.clsLogits.forward(second));
    }
  }));
