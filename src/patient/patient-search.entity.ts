import { Entity, Index, PrimaryColumn } from 'typeorm';
import { BINARY_COLUMN } from '../crypto/column-types';

/** One word of a patient's name as a truncated blind index (`BlindIndex.truncated`). It finds candidates; the sealed name decides. */
@Entity('patient_search')
export class PatientSearchEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) hospitalId!: string;
  @PrimaryColumn({ type: BINARY_COLUMN }) token!: Buffer;
  @Index() @PrimaryColumn({ type: 'varchar', length: 36 }) patientId!: string;
}
