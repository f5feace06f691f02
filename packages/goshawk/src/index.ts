export * from './config/index.js';
export * from './data/index.js';
export { readFileChunks } from './files/read-chunks.js';
export { growingName, openResultsFile, type ResultsFile, type ResultsFileOptions } from './files/results-file.js';
export { type OpenConfig, openConfig } from './foreign/open-config.js';
export * from './infer/index.js';
export * from './models/index.js';
export { createProgressLine, type ProgressLine, type ProgressLineOptions } from './terminal/progress-line.js';
export * from './train/index.js';
