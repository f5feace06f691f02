import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CudaDevice, CudaFacts } from '@goshawk/torch';
import { deviceFindings } from './device-findings.js';

const card: CudaDevice = {
  ...{ device: 'cuda:0', name: 'NVIDIA H200', bytes: 150_000_000_000, capability: '9.0', multiprocessors: 132 },
  code: 'machine',
};
const facts: CudaFacts = {
  ...{ driver: '13.0', driverRelease: '580.159.04', library: '13.0', cudnn: '9.19.0' },
  ...{ nvrtc: '/nvidia/cu13/lib/libnvrtc.so.13', devices: [card] },
};

test('a card is named with its memory, capability and versions', () => {
  const findings = deviceFindings({ facts, isForCpu: false });
  assert.deepEqual(
    findings.map(({ name, state }) => `${name} ${state}`),
    ['devices ok', 'CUDA ok', 'cuda:0 ok', 'NVRTC ok'],
  );
  const said = findings.map(({ detail }) => detail).join('\n');
  for (const part of ['cpu, cuda:0', '580.159.04', 'CUDA up to 13.0', 'cuDNN 9.19.0', 'H200', '150', '9.0', 'libnvrtc'])
    assert.ok(said.includes(part), `${part} in ${said}`);
});

test('a card for which libtorch has no code is missing, with what to take instead', () => {
  const old = { ...facts, devices: [{ ...card, capability: '6.1', code: undefined }] };
  const [, , finding] = deviceFindings({ facts: old, isForCpu: false });
  assert.equal(finding?.state, 'missing');
  assert.match(finding?.detail ?? '', /this libtorch has no code for it$/);
  assert.match(finding?.remedy ?? '', /LIBTORCH .* compute capability 6\.1$/);
});

test('without NVRTC that is said, since kernels are compiled with it', () => {
  const { nvrtc, ...without } = facts;
  assert.ok(nvrtc);
  assert.equal(deviceFindings({ facts: without, isForCpu: false }).at(-1)?.state, 'missing');
});

test('without a card there is one line, with the reason only for a libtorch that has CUDA', () => {
  const problem = 'no NVIDIA driver on this machine';
  assert.deepEqual(deviceFindings({ problem, isForCpu: true }), [{ name: 'devices', state: 'ok', detail: 'cpu' }]);
  assert.equal(deviceFindings({ problem, isForCpu: false })[0]?.detail, `cpu (${problem})`);
});
