// A report as its page works with it, from how it lies in the page.
import { type PackedPicture, unpackDetections } from './packed-detections.js';
import type { DetectionData, PictureData, ReportData, StoredPicture, StoredReport } from './report-data.js';

export function openReport({ pictures, packed, ...report }: StoredReport): ReportData {
  const places = pictures.map(placesOf);
  const own = unpackDetections(
    { found: atob(packed.found), boxes: atob(packed.boxes) },
    places.map(({ length }) => length),
  );
  return { ...report, pictures: pictures.map((picture, i) => opened(picture, places[i]!, own[i]!)) };
}

function placesOf({ objects }: StoredPicture): number[] {
  const places: number[] = [];
  for (let place = 0; place < objects.length; place++) if (objects[place]![5] !== 1) places.push(place);
  return places;
}

function opened(picture: StoredPicture, places: readonly number[], found: PackedPicture): PictureData {
  let detections: readonly DetectionData[] | undefined;
  return {
    ...picture,
    ...{ places, overlaps: found.overlaps, detectionCategories: found.categories },
    get detections() {
      detections ??= found.detections();
      return detections;
    },
  };
}
