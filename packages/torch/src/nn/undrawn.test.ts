import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualSeed, rand, scope, tensor, zeros } from '../index.js';
import { BatchNorm2d, Conv2d, init, Linear, requireDrawn, Sequential, withoutDraws } from './index.js';

const build = () => new Sequential(new Conv2d(3, 8, 3), new BatchNorm2d(8), new Linear(8, 2));

test('a model that is built without draws takes nothing from the generator', () => {
  scope(() => {
    manualSeed(3);
    const next = rand([4]).toNumbers();
    manualSeed(3);
    withoutDraws(build);
    assert.deepEqual(rand([4]).toNumbers(), next);
    withoutDraws(() => init.truncatedNormal(new Conv2d(2, 2, 1).weight));
    // Afterwards parameters are drawn again.
    assert.doesNotThrow(() => requireDrawn(build().stateDict()));
  });
});

test('it is what it would be once all is loaded, in any layout', () => {
  scope(() => {
    const original = build();
    const made = withoutDraws(build).to({ memoryFormat: 'channels_last', dtype: 'float64' });
    assert.ok(made.parameters()[0]?.isContiguous('channels_last'));
    assert.throws(() => requireDrawn(made.stateDict()), /^Error: 4 parameters have no values \(0\.weight, 0\.bias, /);
    made.loadStateDict(original.stateDict());
    requireDrawn(made.stateDict());
    const state = made.stateDict();
    for (const [name, expected] of original.stateDict())
      assert.deepEqual(state.get(name)?.toNumbers(), expected.toNumbers(), name);
  });
});

test('what a file lacks is told, and what is set to a constant has values', () => {
  scope(() => {
    const made = withoutDraws(() => new Linear(3, 2));
    made.loadStateDict(new Map([['weight', zeros([2, 3])]]), { strict: false });
    assert.throws(() => requireDrawn(made.stateDict()), /1 parameters have no values \(bias\): load them/);
    init.constant(made.stateDict().get('bias')!, 0.5);
    requireDrawn(made.stateDict());
    assert.deepEqual(made.forward(tensor([[1, 2, 3]])).toNumbers(), [0.5, 0.5]);
  });
});

test('an error while building leaves nothing waiting', () => {
  assert.throws(() =>
    withoutDraws(() => {
      throw new Error('no');
    }),
  );
  scope(() => requireDrawn(new Linear(3, 2).stateDict()));
});
