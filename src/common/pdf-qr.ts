/** The modules of a QR code (ISO/IEC 18004): `size` a side, row by row, 1 is dark. */
export interface QrModules {
  readonly size: number;
  readonly data: Uint8Array;
}

/** 35 mm in points. */
export const QR_SIZE = (35 / 25.4) * 72;
/** Half a millimetre, which a telephone still tells apart, in points. */
export const QR_MODULE = (0.5 / 25.4) * 72;

/** The code of a text; undefined when it is longer than the largest symbol, or empty. */
export async function qrModules(text: string, errorCorrectionLevel: 'L' | 'M' = 'M'): Promise<QrModules | undefined> {
  const { create } = await import('qrcode');
  try {
    return create(text, { errorCorrectionLevel }).modules;
  } catch {
    return undefined;
  }
}

/** Draws a code with its upper left corner at a point, `side` points wide. The quiet zone is the caller's. */
export function drawQr(pdf: PDFKit.PDFDocument, { size, data }: QrModules, x: number, y: number, side: number): void {
  const unit = side / size;
  for (let i = 0; i < size * size; i++) {
    if (data[i]) pdf.rect(x + (i % size) * unit, y + Math.floor(i / size) * unit, unit, unit);
  }
  pdf.fill('#000000');
}
