import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { Sealed, SealedColumn } from '../crypto/sealed';
import { RowTagColumn } from '../database/row-tags';

/** A hospital: a tenant, and the owner of a ledger. Its account has the same id. What is said of it is public. */
@Entity('hospital')
export class HospitalEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Column({ type: 'varchar', length: 200 }) name!: string;
  @Column({ type: 'varchar', length: 100 }) city!: string;
  @Column({ type: 'varchar', length: 100 }) country!: string;
  /** Name of its ledger, as in a C2SP checkpoint's first line. Never changes. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 255 })
  ledgerOrigin!: string;
  @InstantColumn() createdAt!: number;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}

/** A health worker at a hospital (FHIR: PractitionerRole). The id is the worker's account's. The row stays when the worker leaves. */
@Entity('staff')
@Index(['hospitalId', 'id'])
export class StaffEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() hospitalId!: string;
  /** JSON of `StaffProfile`. */
  @SealedColumn() profile!: Sealed;
  /** Null until the registration is approved. */
  @InstantColumn({ nullable: true }) startedAt!: number | null;
  /** YYYY-MM-DD; null while the worker is here. */
  @Column({ type: 'varchar', length: 10, nullable: true }) lastDay!: string | null;
  @SealedColumn({ nullable: true }) departureReason!: Sealed | null;
  /** Who takes over the drafts and patients. */
  @IdColumn({ nullable: true }) handOverTo!: string | null;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}

/** That a hospital keeps a patient's record. Only an approved enrolment opens a chart. */
@Entity('enrolment')
@Index(['hospitalId', 'patientId'])
export class EnrolmentEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) patientId!: string;
  @IdColumn() hospitalId!: string;
  /** Null until the registration is approved. */
  @InstantColumn({ nullable: true }) enrolledAt!: number | null;
  /** When everything about the patient was erased by law; null while there is a chart. */
  @InstantColumn({ nullable: true }) erasedAt!: number | null;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}
