export * from './detections-in-image.js';
