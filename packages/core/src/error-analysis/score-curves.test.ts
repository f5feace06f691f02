import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { evaluateCoco } from '../evaluation/evaluate-coco.js';
import { randomScenes } from '../testing/random-scenes.js';
import { scoreCurves } from './score-curves.js';

describe('precision, recall and F1 by score', () => {
  test("the last entry's counts are those of an evaluation at IoU 0.5", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      const { overall, perCategory } = scoreCurves({ groundTruth, detections, iouType: 'bbox' });
      const { counts, recall, params } = evaluateCoco({
        groundTruth,
        detections,
        iouType: 'bbox',
        params: { iouThresholds: [0.5], maxDetections: [100], areaRanges: [{ name: 'all', min: 0, max: 1e10 }] },
      });
      const [right, wrong] = [counts.truePositives[0]!, counts.falsePositives[0]!];
      assert.equal(overall.objects, counts.groundTruths);
      if (right + wrong > 0) assert.equal(overall.precision.at(-1), right / (right + wrong));
      params.categoryIds.forEach((id, k) => {
        const { category, curve } = perCategory[k]!;
        assert.equal(category.id, id);
        if (curve.objects > 0) assert.equal(curve.recall.at(-1) ?? 0, recall.data[k]);
      });
    }
  });

  test('each entry is what an evaluation of the detections from its score on finds; the best one has the highest F1', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      // Two scores that several detections share.
      const coarse = detections.map((detection) => ({ ...detection, score: Math.round(detection.score * 5) / 5 }));
      const { overall } = scoreCurves({ groundTruth, detections: coarse, iouType: 'bbox' });
      assert.deepEqual(
        [...overall.score],
        [...new Set(overall.score)].sort((a, b) => b - a),
      );
      overall.score.forEach((score, i) => {
        const kept = coarse.filter((detection) => detection.score >= score);
        const params = { iouThresholds: [0.5] };
        const { counts } = evaluateCoco({ groundTruth, detections: kept, iouType: 'bbox', params });
        const [right, wrong] = [counts.truePositives[0]!, counts.falsePositives[0]!];
        assert.equal(overall.precision[i], right / (right + wrong));
        assert.equal(overall.f1[i], (2 * right) / (right + wrong + counts.groundTruths));
      });
      const highest = Math.max(0, ...overall.f1);
      assert.equal(overall.best?.f1 ?? 0, highest);
      if (overall.best) assert.equal(overall.best.score, overall.score[overall.f1.indexOf(highest)]);
    }
  });

  test('a category without objects has precision 0 and no best threshold', () => {
    const { groundTruth, detections } = randomScenes(3);
    const none = { ...groundTruth, annotations: [] };
    const { perCategory } = scoreCurves({ groundTruth: none, detections, iouType: 'bbox' });
    for (const { curve } of perCategory) {
      assert.equal(curve.best, undefined);
      assert.ok([...curve.precision, ...curve.recall, ...curve.f1].every((value) => value === 0));
    }
  });
});
