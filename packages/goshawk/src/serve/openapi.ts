// The server's interface as an OpenAPI 3.1 document.
import type { ServeLimits } from './settings.js';

const refused = (description: string, headers?: object) => ({
  description,
  ...(headers && { headers }),
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
});
const RETRY = { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } };
const json = (description: string, schema: object) => ({ description, content: { 'application/json': { schema } } });

/** @param hasToken whether requests need one */
export function openApiDocument({
  version,
  limits,
  hasToken,
}: {
  readonly version: string;
  readonly limits: ServeLimits;
  readonly hasToken: boolean;
}): object {
  const access = hasToken
    ? { '401': refused('The token is missing or another') }
    : { '403': refused('Asked by another name than 127.0.0.1 or localhost, or by a page of another server') };
  const binary = { schema: { type: 'string', format: 'binary' } };
  const secured = hasToken ? { security: [{ token: [] }] } : {};
  const state = { type: 'object', required: ['status'], properties: { status: { type: 'string' } } };
  return {
    openapi: '3.1.0',
    info: {
      title: 'goshawk serve',
      version,
      description: 'Finds objects in pictures.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: {
      '/v1/detect': {
        post: {
          operationId: 'detect',
          summary: 'Find objects in a picture, or in several',
          description: `Bodies of at most ${limits.maxBytes} bytes, pictures of at most ${limits.maxPixels} pixels, at most ${limits.maxPictures} in a form.`,
          ...secured,
          parameters: [
            {
              ...{ name: 'score_threshold', in: 'query', description: 'Keep detections of at least this score' },
              schema: { type: 'number', minimum: 0, maximum: 1 },
            },
            {
              ...{ name: 'max_detections', in: 'query', description: 'Keep at most so many a picture, the best' },
              schema: { type: 'integer', minimum: 1, maximum: 10000 },
            },
          ],
          requestBody: {
            required: true,
            content: {
              'image/jpeg': binary,
              'image/png': binary,
              'image/webp': binary,
              'application/octet-stream': binary,
              'multipart/form-data': {
                schema: {
                  type: 'object',
                  additionalProperties: {
                    anyOf: [binary.schema, { type: 'array', items: binary.schema }],
                  },
                },
              },
            },
          },
          responses: {
            '200': {
              description: 'What was found; with Accept: image/png, and one picture, that picture with it drawn on',
              content: {
                'application/json': { schema: { $ref: '#/components/schemas/Detections' } },
                'image/png': binary,
              },
            },
            '400': refused('A parameter, the form or the body is not as it should be'),
            ...access,
            '406': refused('Accept names neither JSON nor PNG, or PNG for several pictures'),
            '408': refused(`The request took more than ${limits.arrival} s to arrive`),
            '413': refused('Too many bytes, pixels or pictures'),
            '415': refused('No JPEG, PNG or WebP, or packed besides'),
            '422': refused('A damaged picture'),
            '429': refused('Too many pictures wait', RETRY),
            '500': refused('The detector failed'),
            '503': refused('The model is being opened', RETRY),
            '504': refused(`No answer within ${limits.deadline} s`),
          },
        },
      },
      '/v1/model': {
        get: {
          operationId: 'model',
          summary: 'What is served: categories, preprocessing, limits',
          ...secured,
          responses: {
            '200': json('The model', { type: 'object' }),
            ...access,
            '503': refused('The model is being opened', RETRY),
          },
        },
      },
      '/healthz': {
        get: {
          operationId: 'health',
          summary: 'Whether the process answers',
          responses: { '200': json('It does', state) },
        },
      },
      '/readyz': {
        get: {
          operationId: 'ready',
          summary: 'Whether the model answers: it is open and has found its way through a probe picture',
          responses: { '200': json('It does', state), '503': json('Not yet, or not any more', state) },
        },
      },
      '/metrics': {
        get: {
          operationId: 'metrics',
          summary: 'Counts for Prometheus',
          ...secured,
          responses: {
            '200': { description: 'Text', content: { 'text/plain': { schema: { type: 'string' } } } },
            ...access,
          },
        },
      },
      '/openapi.json': {
        get: {
          operationId: 'openapi',
          summary: 'This document',
          ...secured,
          responses: { '200': json('OpenAPI 3.1', { type: 'object' }), ...access },
        },
      },
    },
    components: {
      ...(hasToken && { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } }),
      schemas: { Detections: detectionsSchema, Detection: detectionSchema, Error: errorSchema },
    },
  };
}

const number = { type: 'number' };
const integer = { type: 'integer' };
const string = { type: 'string' };

const detectionSchema = {
  type: 'object',
  description: "An entry of COCO's results format, in the picture's pixels",
  required: ['image_id', 'file_name', 'category_id', 'category_name', 'score'],
  properties: {
    image_id: { ...integer, description: 'The id of its picture in images' },
    file_name: string,
    category_id: integer,
    category_name: string,
    bbox: { type: 'array', description: 'x, y, width, height', items: number, minItems: 4, maxItems: 4 },
    score: { type: 'number', minimum: 0, maximum: 1 },
    segmentation: {
      type: 'object',
      description: "COCO's compressed run lengths",
      required: ['size', 'counts'],
      properties: { size: { type: 'array', items: integer, minItems: 2, maxItems: 2 }, counts: string },
    },
    keypoints: { type: 'array', description: 'x, y, visibility of each', items: number },
  },
};

const detectionsSchema = {
  type: 'object',
  required: ['images', 'detections', 'timing'],
  properties: {
    images: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'file_name', 'width', 'height'],
        properties: { id: integer, file_name: string, width: integer, height: integer },
      },
    },
    detections: {
      type: 'array',
      description: 'Best first within a picture',
      items: { $ref: '#/components/schemas/Detection' },
    },
    timing: {
      type: 'object',
      description: 'Milliseconds: in all since the body was there, and in the stages, of all pictures',
      properties: { total: number, decode: number, detect: number },
    },
  },
};

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: { code: string, message: { ...string, description: 'where: what (expected, got): what to do' } },
    },
  },
};
