import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proofVectors } from './proof-vectors';

// node -r ./tools/swc-register.cjs test/support/write-vectors.ts
writeFileSync(join(__dirname, '../vectors/proofs.json'), `${JSON.stringify(proofVectors(), null, 1)}\n`);
