// Folders of PASCAL VOC as people have them: which picture belongs to which file.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { annotationFormat, readAnnotations } from './annotation-files.js';

const root = mkdtempSync(join(tmpdir(), 'goshawk-voc-'));
after(() => rmSync(root, { recursive: true }));

// Stored 64 x 48, shown 48 x 64.
const turned = await sharp({ create: { width: 64, height: 48, channels: 3, background: '#888' } })
  .jpeg()
  .withMetadata({ orientation: 6 })
  .toBuffer();

function put(files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

const size = '<size><width>48</width><height>64</height></size>';
const xml = (fileName: string, ofPicture = size) =>
  `<annotation><filename>${fileName}</filename>${ofPicture}<object><name>owl</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>12</xmax><ymax>24</ymax></bndbox></object></annotation>`;
const names = (folder: string, set?: string): string[] =>
  readAnnotations({ annotations: join(root, folder), ...(set === undefined ? {} : { set }) }).dataset.images.map(
    ({ fileName }) => fileName,
  );

test('in one folder with their pictures, whose endings are in other letters than the files say', () => {
  put({
    'flat/a 1.xml': xml('a 1.jpg'),
    'flat/a 1.JPG': turned,
    'flat/Käuzchen 猫.xml': xml(''),
    'flat/Käuzchen 猫.jpeg': turned,
    'flat/c.png.xml': xml('c.png'),
    'flat/c.png': turned,
  });
  assert.equal(annotationFormat({ annotations: join(root, 'flat') }), 'voc');
  assert.deepEqual(names('flat'), ['Käuzchen 猫.jpeg', 'a 1.JPG', 'c.png'].sort());
});

test('what macOS leaves beside the files is not read', () => {
  put({
    'mac/Annotations/a.xml': xml('a.jpg'),
    'mac/Annotations/._a.xml': 'half of a file',
    'mac/JPEGImages/a.jpg': turned,
    'mac/JPEGImages/._a.jpg': 'half of a file',
    'mac/__MACOSX/Annotations/._a.xml': 'half of a file',
  });
  assert.deepEqual(names('mac'), ['a.jpg']);
});

test('a size that is missing or 0 is the one of the picture as shown', () => {
  put({
    'sizes/Annotations/a.xml': xml('a.jpg', ''),
    'sizes/Annotations/b.xml': xml('b.jpg', '<size><width>0</width><height>0</height><depth>0</depth></size>'),
    'sizes/JPEGImages/a.jpg': turned,
    'sizes/JPEGImages/b.jpg': turned,
  });
  const { dataset, warnings } = readAnnotations({ annotations: join(root, 'sizes') });
  assert.deepEqual(
    dataset.images.map(({ width, height }) => [width, height]),
    [
      [48, 64],
      [48, 64],
    ],
  );
  assert.deepEqual([dataset.annotations.length, dataset.categories.length, warnings], [2, 1, []]);
});

test('lists of sets name pictures, XML files or neither', () => {
  put({
    'lists/Annotations/a.xml': xml('a.jpg'),
    'lists/Annotations/b.xml': xml('b.jpg'),
    'lists/Annotations/v1.0.xml': xml('v1.0.jpg'),
    'lists/JPEGImages/a.jpg': turned,
    'lists/JPEGImages/b.jpg': turned,
    'lists/JPEGImages/v1.0.jpg': turned,
    'lists/ImageSets/Main/train.txt': '\uFEFFa.jpg\r\nb.xml\r\nv1.0 1\r\n',
  });
  assert.deepEqual(names('lists', 'train'), ['a.jpg', 'b.jpg', 'v1.0.jpg']);
});
