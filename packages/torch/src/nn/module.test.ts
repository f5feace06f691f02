// Modules: names, state, modes, lifetimes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { noGrad } from '../tensor/autograd.js';
import { ones, tensor, zeros } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { liveTensors } from '../tensor/lifetime.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  BatchNorm2d,
  Buffer,
  Conv2d,
  Dropout,
  FrozenBatchNorm2d,
  Identity,
  Layer,
  Linear,
  Module,
  Parameter,
  ReLU,
  Sequential,
} from './index.js';
import { stateName } from './state-name.js';

class Block extends Layer {
  readonly conv1 = new Conv2d(2, 2, 1);
  readonly bn1 = new BatchNorm2d(2);
  readonly maskFcn1 = new Linear(2, 2);
  readonly branches: readonly Layer[] = [new Linear(2, 1, { bias: false }), new Identity()];
  readonly nested: readonly (readonly Layer[])[] = [[new Linear(1, 1, { bias: false })]];
  readonly levelScale = new Parameter(ones([1]));
  readonly anchors = new Buffer(zeros([3]), { persistent: false });
  readonly stride = 4;
  readonly #parent: Module | undefined;

  constructor(parent?: Module) {
    super();
    this.#parent = parent;
  }

  override forward(input: Tensor): Tensor {
    return this.#parent ? input : this.conv1.call(input);
  }
}

test('properties in camelCase have state names in snake_case', () => {
  const names = {
    runningMean: 'running_mean',
    conv5Mask: 'conv5_mask',
    fc6: 'fc6',
    conv1: 'conv1',
    inProjWeight: 'in_proj_weight',
  };
  for (const [property, name] of Object.entries(names)) assert.equal(stateName(property), name);
});

test('the state lists own tensors first, then those of children and of arrays of them, as PyTorch orders it', () => {
  assert.deepEqual(
    [...new Block().stateDict().keys()],
    [
      'level_scale',
      'conv1.weight',
      'conv1.bias',
      'bn1.weight',
      'bn1.bias',
      'bn1.running_mean',
      'bn1.running_var',
      'bn1.num_batches_tracked',
      'mask_fcn1.weight',
      'mask_fcn1.bias',
      'branches.0.weight',
      'nested.0.0.weight',
    ],
  );
});

test('parameters are learned, buffers are not, and buffers that are not persistent stay out of the state', () => {
  const block = new Block(new Identity());
  assert.equal(block.parameters().length, 9);
  assert.ok(block.parameters().every((parameter) => parameter.requiresGrad));
  assert.deepEqual(
    Array.from(block.namedBuffers(), ([name]) => name),
    ['anchors', 'bn1.running_mean', 'bn1.running_var', 'bn1.num_batches_tracked'],
  );
  assert.ok(block.buffers().every((buffer) => !buffer.requiresGrad));
  assert.deepEqual(
    Array.from(block.namedModules(), ([name]) => name),
    ['', 'conv1', 'bn1', 'mask_fcn1', 'branches.0', 'branches.1', 'nested.0.0'],
  );
  assert.ok(
    block
      .freeze()
      .parameters()
      .every((parameter) => !parameter.requiresGrad),
  );
});

test('a module under two names is listed once by parameters() and under both names by the state', () => {
  class Tied extends Module {
    readonly first = new Linear(2, 2, { bias: false });
    readonly second = this.first;
  }
  const tied = new Tied();
  assert.equal(tied.parameters().length, 1);
  assert.equal(tied.modules().length, 2);
  assert.deepEqual([...tied.stateDict().keys()], ['first.weight', 'second.weight']);
});

test('a state goes from one module to another, and casts to the types there', () => {
  const source = new Sequential(new Conv2d(2, 3, 1), new BatchNorm2d(3));
  const target = new Sequential(new Conv2d(2, 3, 1), new BatchNorm2d(3)).to({ dtype: 'float64' });
  const report = target.loadStateDict(source.stateDict());
  assert.deepEqual(report, { loaded: [...source.stateDict().keys()], missing: [], unexpected: [], mismatched: [] });
  for (const [name, value] of target.stateDict()) {
    assertClose(value.toNumbers(), source.stateDict().get(name)?.toNumbers() ?? [], { absolute: 0, relative: 0 });
    assert.equal(value.dtype, name.endsWith('tracked') ? 'int64' : 'float64');
  }
});

test('bytes load as tensors do, those still in a file too', () => {
  const linear = new Linear(2, 1);
  const bytes = (values: number[]): Uint8Array => new Uint8Array(Float64Array.from(values).buffer);
  linear.loadStateDict(
    new Map([
      ['weight', { dtype: 'float64', shape: [1, 2], data: bytes([1.5, -2]) }],
      [
        'bias',
        { dtype: 'float64', shape: [1], materialize: () => ({ dtype: 'float64', shape: [1], data: bytes([0.25]) }) },
      ],
    ]),
  );
  assert.deepEqual([linear.weight.toNumbers(), linear.bias?.toNumbers()], [[1.5, -2], [0.25]]);
  assert.equal(linear.weight.dtype, 'float32');
});

test('a state that does not fit is an error that says what is wrong, and changes nothing', () => {
  const linear = new Linear(2, 1);
  const before = linear.bias?.item();
  const state = new Map([
    ['weight', zeros([1, 3])],
    ['bias', tensor([9])],
    ['extra', zeros([1])],
  ]);
  assert.throws(() => linear.loadStateDict(state), {
    message:
      'state of Linear: 1 are not of this module (extra); 1 differ in shape (weight [1, 2] vs [1, 3]): load with strict: false to take what fits',
  });
  assert.equal(linear.bias?.item(), before);
  assert.throws(() => linear.loadStateDict(new Map()), /state of Linear: 2 of 2 tensors are missing \(weight, bias\)/);
  const report = linear.loadStateDict(state, { strict: false });
  assert.deepEqual(report, {
    loaded: ['bias'],
    missing: [],
    unexpected: ['extra'],
    mismatched: [{ name: 'weight', expected: [1, 2], got: [1, 3] }],
  });
  assert.equal(linear.bias?.item(), 9);
});

test('num_batches_tracked may be missing for a batch norm, and is passed over by a frozen one', () => {
  const state = new Map<string, Tensor>(new FrozenBatchNorm2d(2).stateDict());
  assert.equal(new BatchNorm2d(2).loadStateDict(state).loaded.length, 4);
  state.set('num_batches_tracked', zeros([], { dtype: 'int64' }));
  const frozen = new FrozenBatchNorm2d(2).loadStateDict(state);
  assert.deepEqual([frozen.loaded.length, frozen.unexpected], [4, []]);
});

test('train() and eval() reach every module', () => {
  const block = new Block();
  assert.ok(block.modules().every((module) => module.training));
  assert.ok(
    block
      .eval()
      .modules()
      .every((module) => !module.training),
  );
  assert.equal(block.train().bn1.training, true);
});

test('to() keeps the parameters themselves, their gradients and their place in the graph', () => {
  scope(() => {
    const conv = new Conv2d(2, 2, 3);
    const { weight } = conv;
    const gradientType = (): string | undefined => weight.grad?.dtype;
    const values = weight.toNumbers();
    callTensorOp('aten::sum', conv.call(ones([1, 2, 3, 3]))).backward();
    conv.to({ dtype: 'float64', memoryFormat: 'channels_last' });
    assert.equal(conv.weight, weight);
    assert.deepEqual([weight.dtype, gradientType(), weight.requiresGrad], ['float64', 'float64', true]);
    assert.equal(weight.isContiguous('channels_last'), true);
    assert.deepEqual(weight.toNumbers(), values);
    weight.grad = undefined;
    callTensorOp('aten::sum', conv.call(ones([1, 2, 3, 3], { dtype: 'float64' }))).backward();
    assert.equal(gradientType(), 'float64');
    conv.zeroGrad();
    assert.equal(gradientType(), undefined);
  });
});

test('a version changes with every write and move', () => {
  const { weight } = new Linear(2, 2);
  const versions = [weight.version];
  weight.assign(ones([2, 2]));
  versions.push(weight.version);
  noGrad(() => callOp('aten::mul_.Scalar', weight, 2));
  versions.push(weight.version);
  weight.place({ dtype: 'float64' });
  versions.push(weight.version);
  assert.equal(new Set(versions).size, 4);
  assert.throws(() => weight.assign(ones([2])), { message: 'assign: the tensor is [2, 2], got [2]' });
});

test('parameters made in a scope outlive it; a layer leaves its result alone behind', () => {
  const model = scope(() => new Sequential(new Linear(2, 3), new ReLU(), new Identity(), new Linear(3, 1)));
  scope(() => {
    const input = ones([4, 2]);
    const before = liveTensors();
    noGrad(() => {
      const output = model.call(input);
      assert.equal(liveTensors() - before, 1);
      assert.deepEqual(output.shape, [4, 1]);
    });
    assert.equal(input.length, 8);
    assert.equal(new Sequential().call(input), input);
  });
});

test('dropout keeps the mean in training and does nothing otherwise', () => {
  scope(() => {
    const dropout = new Dropout(0.25);
    const kept = dropout.call(ones([20000]));
    const values = new Set(kept.toNumbers());
    assert.deepEqual([...values].sort(), [0, Math.fround(1 / 0.75)]);
    assertClose([callTensorOp('aten::mean', kept).item()], [1], { absolute: 0.03 });
    const input = ones([4]);
    assert.equal(dropout.eval().call(input), input);
    assert.throws(() => new Dropout(1.5), /within 0\.\.1, got 1\.5/);
  });
});
