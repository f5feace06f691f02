import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drawDetections, type RgbImage } from '@goshawk/core';
import { labelText, unreadableNames, unreadableNotice } from './label-text.js';

const ink = (text: string, sizePx = 24) => labelText.line(text, sizePx).coverage;
const shape = (text: string) => Buffer.from(ink(text)).toString('base64');
// What no font has is drawn as a frame.
const frame = '\u{10fffd}';

describe('text on pictures', () => {
  test('has every letter of ASCII, no two alike', () => {
    const seen = new Map<string, string>();
    for (let code = 33; code < 127; code++) {
      const letter = String.fromCharCode(code);
      assert.ok(
        ink(letter).some((value) => value > 200),
        `"${letter}" is blank`,
      );
      assert.equal(seen.get(shape(letter)), undefined, `"${letter}" looks like "${seen.get(shape(letter))}"`);
      seen.set(shape(letter), letter);
    }
  });

  test('has accents, Greek and Cyrillic of its own font, whatever fonts the system has', () => {
    const letters = [...'äöüßéčłñşžőĢΩΔλϕЖДщЂҐệ'];
    const shapes = new Set(letters.map(shape));
    assert.equal(shapes.size, letters.length);
    assert.ok(!shapes.has(shape(frame)));
    assert.notEqual(shape('ü'), shape('u'));
  });

  test('leaves room for what stands above capitals and hangs below lines', () => {
    for (const text of ['ÄÖŮg', 'Ệjpqy']) {
      const { coverage, width, height } = labelText.line(text, 24);
      const row = (y: number) => coverage.subarray(y * width, (y + 1) * width);
      assert.ok(row(0).every((value) => value < 128) && row(height - 1).every((value) => value < 128), text);
    }
  });

  test('is as wide as it says, and a longer text wider', () => {
    const { width } = labelText.line('Füchse 0.98', 20);
    assert.equal(width, labelText.width('Füchse 0.98', 20));
    assert.ok(width > labelText.width('Füchse', 20) && width < labelText.width('Füchse 0.98', 40));
  });
});

test('names that no font here can show are told', () => {
  assert.deepEqual(unreadableNames(['cat', 'Füchse', 'собака', 'Ωμέγα', `with ${frame}`]), [`with ${frame}`]);
  assert.equal(unreadableNotice(['cat', 'Füchse']), undefined);
  assert.match(unreadableNotice([frame, frame])!, /and of 1 more names, .*: install one/);
});

test('labels grow with the picture', () => {
  const grey = (side: number): RgbImage => ({
    data: new Uint8Array(side * side * 3).fill(128),
    width: side,
    height: side,
  });
  const inked = (side: number) => {
    const item = { categoryId: 1, bbox: [side / 4, side / 4, side / 2, side / 2] as const, score: 0.9 };
    const categories = [{ id: 1, name: 'Füchse' }];
    const [plain, named] = [undefined, labelText].map(
      (text) => drawDetections(grey(side), [item], { categories, text }).data,
    );
    return plain!.filter((value, i) => value !== named![i]).length / side ** 2;
  };
  const [small, large] = [inked(400), inked(1600)];
  assert.ok(Math.abs(small / large - 1) < 0.35, `${small} of a small picture, ${large} of a large one`);
});
