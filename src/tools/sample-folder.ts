import type { BundleFolder } from './bundle-files';
import { samplePatients } from './sample-patients';

/** The project's own patients as if they lay in a folder. */
export function sampleFolder(): BundleFolder {
  return { sources: samplePatients().map(({ fileName, text }) => ({ fileName, read: () => Promise.resolve(text) })), skipped: [] };
}
