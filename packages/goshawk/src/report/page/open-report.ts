// A report as its page works with it, from how it lies in the page.
import { unpackDetections } from './packed-detections.js';
import type { ReportData, StoredReport } from './report-data.js';

export function openReport({ pictures, found, ...report }: StoredReport): ReportData {
  const text = atob(found);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const objects = pictures.map((picture) => picture.objects.filter((one) => one[5] !== 1).length);
  const own = unpackDetections(bytes, objects);
  return { ...report, pictures: pictures.map((picture, i) => ({ ...picture, ...own[i]! })) };
}
