export * from './coco-person.js';
export * from './decode-heatmap.js';
export * from './flip-keypoints.js';
