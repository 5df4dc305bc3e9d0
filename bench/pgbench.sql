-- The rows of one sealed record, as one transaction: content, block with attestation, pending entry, leaf, audit event, the record's row, the chain's head.
-- Sizes are those that our server stores; the bytes are made once, on the side of pgbench.
SELECT nextval('seal') AS n \gset
BEGIN;
INSERT INTO record ("id", "patientId", "hospitalId", "authorId", "kind", "status", "version", "createdAt", "updatedAt", "sealedAt", "height", "blockHash") VALUES (lpad((:n)::text, 36, '0'), lpad((:client_id)::text, 36, '0'), lpad('1', 36, '0'), lpad('2', 36, '0'), 'Condition', 'sealed', 1, 1795345000000, 1795345000000, 1795345000000, :n, lpad((:n)::text, 64, '0'));
INSERT INTO ledger_content ("recordId", "version", "ciphertext", "recordKey") VALUES (lpad((:n)::text, 36, '0'), 1, :ciphertext, :recordkey);
INSERT INTO ledger_block ("chainId", "height", "blockHash", "prevHash", "header", "recordId", "version", "attestation") VALUES (decode(lpad((:client_id)::text, 32, '0'), 'hex'), :n, decode(lpad((:n)::text, 64, '0'), 'hex'), decode(lpad((:n)::text, 64, '0'), 'hex'), :header, lpad((:n)::text, 36, '0'), 1, :attestation);
INSERT INTO log_pending ("logId", "kind", "hash", "rowTag") VALUES (1, 1, decode(lpad((:n)::text, 64, '0'), 'hex'), decode(lpad('', 64, '0'), 'hex'));
INSERT INTO log_leaf ("logId", "leafIndex", "kind", "hash") VALUES (1, :n, 1, decode(lpad((:n)::text, 64, '0'), 'hex'));
INSERT INTO audit_event ("id", "at", "action", "outcome", "actorId", "actorRole", "actorHospitalId", "hospitalId", "patientId", "subjectId", "purpose", "kind", "rules", "requestId") VALUES (lpad((:n)::text, 36, '0'), 1795345000000, 'record.seal', 'ok', lpad('2', 36, '0'), 'DOCTOR', lpad('1', 36, '0'), lpad('1', 36, '0'), lpad((:client_id)::text, 36, '0'), lpad((:n)::text, 36, '0'), 'TREAT', 'Condition', 'own-hospital', lpad((:n)::text, 36, '0'));
UPDATE ledger_chain SET "height" = :n, "headHash" = decode(lpad((:n)::text, 64, '0'), 'hex') WHERE "chainId" = decode(lpad((:client_id)::text, 32, '0'), 'hex');
COMMIT;
