export * from './coco-person.js';
export * from './flip-keypoints.js';
