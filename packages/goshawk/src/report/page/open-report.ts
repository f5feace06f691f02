// A report as its page works with it, from how it lies in the page.
import { unpackDetections } from './packed-detections.js';
import type { ReportData, StoredReport } from './report-data.js';

export function openReport({ pictures, found, ...report }: StoredReport): ReportData {
  const text = atob(found);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const places = pictures.map(({ objects }) => objects.flatMap((one, place) => (one[5] === 1 ? [] : [place])));
  const own = unpackDetections(
    bytes,
    places.map(({ length }) => length),
  );
  return { ...report, pictures: pictures.map((picture, i) => ({ ...picture, places: places[i]!, ...own[i]! })) };
}
