import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';

/** One row of the append-only trail. Metadata only: ids, codes and hashes, never a name, never clinical content. Triggers refuse UPDATE and DELETE. */
@Entity('audit_event')
@Index(['patientId', 'id'])
@Index(['hospitalId', 'id'])
@Index(['at'])
export class AuditEventEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @InstantColumn() at!: number;
  @Column({ type: 'varchar', length: 32 }) action!: string;
  @Column({ type: 'varchar', length: 8 }) outcome!: string;
  /** Null before anybody is signed in. */
  @IdColumn({ nullable: true }) actorId!: string | null;
  @Column({ type: 'varchar', length: 8, nullable: true }) actorRole!: string | null;
  @IdColumn({ nullable: true }) actorHospitalId!: string | null;
  /** The hospital whose data or people are concerned. */
  @IdColumn({ nullable: true }) hospitalId!: string | null;
  @IdColumn({ nullable: true }) patientId!: string | null;
  /** The account, record, question or hospital that was acted on. */
  @IdColumn({ nullable: true }) subjectId!: string | null;
  @Column({ type: 'varchar', length: 10, nullable: true }) purpose!: string | null;
  /** FHIR resource type or block kind of what was acted on. */
  @Column({ type: 'varchar', length: 40, nullable: true }) kind!: string | null;
  /** Code of a refusal. */
  @Column({ type: 'varchar', length: 40, nullable: true }) reason!: string | null;
  /** The rules that decided, space separated. */
  @Column({ type: 'varchar', length: 400, nullable: true }) rules!: string | null;
  @Column({ type: 'integer', nullable: true }) contractVersion!: number | null;
  /** How many rows an act touched or a list gave. */
  @Column({ type: 'integer', nullable: true }) count!: number | null;
  /** SHA-256 (base64url) over the ids that a list gave, each followed by a newline. */
  @Column({ type: 'varchar', length: 43, nullable: true }) setDigest!: string | null;
  /** Head of the patient's chain that the decision saw. */
  @Column({ type: 'integer', nullable: true }) headHeight!: number | null;
  @Column({ type: 'varchar', length: 64 }) requestId!: string;
}
