import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

@Entity()
export class Chain {
  @PrimaryColumn() patientId!: string;
  @Column() chainId!: string;
  @Column() height!: number;
  @Column() headHash!: string;
}

@Entity()
export class Content {
  @PrimaryColumn() recordId!: string;
  @Column('blob') ciphertext!: Buffer;
}

@Entity()
export class Block {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() chainId!: string;
  @Column() height!: number;
  @Column() prevHash!: string;
  @Column() blockHash!: string;
  @Column('blob') header!: Buffer;
  @Column() recordId!: string;
  @Column() attestation!: string;
}

@Entity()
export class Pending {
  @PrimaryGeneratedColumn() id!: number;
  @Column() blockHash!: string;
}

@Entity()
export class AuditEvent {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() at!: Date;
  @Column() action!: string;
  @Column() outcome!: string;
  @Column() actorId!: string;
  @Column() patientId!: string;
  @Column() subjectId!: string;
}
