import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { ApiError, invalid } from '../common/errors';
import type { Upload } from './attachments.service';

const CONTENT_TYPE =
  /^(application\/(pdf|dicom|octet-stream|xml|zip)|image\/[a-z0-9.+-]{1,40}|video\/(mp4|webm)|audio\/(mpeg|wav|ogg)|text\/plain)$/;

/** The file name of a Content-Disposition header: `filename*` (RFC 8187) before `filename` (RFC 6266). */
function fileName(disposition: string | undefined): string {
  const extended = /filename\*=UTF-8''([A-Za-z0-9%!#$&+.^_`|~-]+)/i.exec(disposition ?? '')?.[1];
  const plain = /filename="([^"\\]*)"/i.exec(disposition ?? '')?.[1];
  let name = plain;
  try {
    if (extended !== undefined) name = decodeURIComponent(extended);
  } catch {
    throw invalid('Content-Disposition', 'filename* is not percent-encoded UTF-8');
  }
  if (name === undefined || name.length === 0 || name.length > 200 || /[\u0000-\u001f\u007f/\\]/.test(name))
    throw invalid('Content-Disposition', 'must give a filename of 1 to 200 characters');
  return name;
}

/** The file that a request carries as its plain body. */
export function uploadOf(request: FastifyRequest): Upload {
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!CONTENT_TYPE.test(contentType)) throw new ApiError('unsupported_media_type');
  return { name: fileName(request.headers['content-disposition']), contentType, bytes: request.body as IncomingMessage };
}
