export { type FilterOptions, filterDataset } from './filter-dataset.js';
export { type MergedDataset, type MergePart, mergeDatasets } from './merge-datasets.js';
export { type SplitDatasetOptions, type SplitPart, splitDataset } from './split-dataset.js';
