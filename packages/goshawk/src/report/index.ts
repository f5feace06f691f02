export * from './error-figures.js';
export { metricsOf } from './metrics-file.js';
export type { SeenPicture } from './page/report-data.js';
export { writeSeenBatch } from './seen-batch.js';
export { PICTURES_FOLDER, Thumbnails } from './thumbnails.js';
export { REPORT_FILE, type ReportInput, writeReport } from './write-report.js';
