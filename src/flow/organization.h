/* Organizations, from their registration to their end; and the claims of people to be their Authorized Official, with
 * the documents that show it. All [wait]. */
#pragma once

#include "flow/flow.h"

/* ---- organizations ---- */

/* What is to be written; NULL: as it is (or, of a new one, none). Lists end with NULL. */
struct organization_wish {
	const char *name, *tin, *tin_kind;        /* tin: 9 digits, dashes are dropped; ein or ssn */
	const char *const *npis, *const *address; /* address: lines */
	bool provider, employer, individual;      /* of a new one only */
};
struct organization_info {
	struct entry entry;         /* tin NULL, or masked in lists: not for this person */
	const char *const *address; /* lines */
	const char *tin_held_by;    /* for the help desk: whatever else is established under this TIN; or NULL */
	bool mine;                  /* AO, or registrant */
};
/* Problems name the member and the rule (ERR_INVALID). A provider or employer is registered, by anybody; an individual
 * practice is made by its practitioner, of his own NPI, and is active. *made: false if there was one already, made by
 * the same person with the same key (Idempotency-Key, or NULL). ERR_CONFLICT: the same person has registered that TIN
 * already, or has his practice already. */
struct err flow_register_organization(struct arena *, struct flow *, const struct caller *,
    const struct organization_wish *, const char *key, struct form_problems *, struct organization_info *out,
    bool *made);
/* ERR_NOT_FOUND: none such, or not for him. */
struct err flow_view_organization(struct arena *, struct flow *, const struct caller *, const char *id,
    struct organization_info *out, struct revision *);
/* Those that the caller is AO of, has registered or acts for; for help desk and auditors all, of a state if one is
 * named. */
struct err flow_list_organizations(struct arena *, struct flow *, const struct caller *, enum state,
    const struct page *, struct organization_info **out, size_t *count, const char **next);
/* org.update. ERR_CONFLICT: it has changed since. */
struct err flow_update_organization(struct arena *, struct flow *, const struct caller *, const char *id,
    const struct organization_wish *, const struct revision *expected, struct form_problems *, struct answer *,
    struct organization_info *out);

enum organization_step { ORGANIZATION_VERIFY, ORGANIZATION_SUSPEND, ORGANIZATION_REINSTATE, ORGANIZATION_CLOSE };
/* ERR_CONFLICT: another organization is established under its TIN (then out says which), or it is not as expected; an
 * empty revision expects nothing. */
struct err flow_move_organization(struct arena *, struct flow *, const struct caller *, enum organization_step,
    const char *id, const struct grounds *, const struct revision *expected, struct answer *,
    struct organization_info *out);

struct fraud_info {
	const char *uid;
	const char *const *suspended;
	struct revision revision;
};
/* account.fraud: the account is disabled, and all organizations that it is official of are suspended. */
struct err flow_report_fraud(struct arena *, struct flow *, const struct caller *, const char *uid,
    const struct grounds *, struct answer *, struct fraud_info *out);

/* ---- claims ---- */

struct claim_info {
	struct entry entry;
	bool for_desk; /* what follows is known */
	const char *claimant_name, *claimant_mail;
	struct organization_info organization;
	struct attachment document; /* id NULL: it has been removed */
};
/* claim.submit, with a document that has been judged. *made as above. */
struct err flow_submit_claim(struct arena *, struct flow *, const struct caller *, const char *organization,
    const char *document_kind, const char *note, const struct upload *, const char *key, struct form_problems *,
    struct answer *, struct claim_info *out, bool *made);
struct err flow_view_claim(
    struct arena *, struct flow *, const struct caller *, const char *id, struct claim_info *out, struct revision *);
/* His own; for help desk, auditors and a provider's AO all that the directory shows. */
struct err flow_list_claims(struct arena *, struct flow *, const struct caller *, const char *provider, enum state,
    const struct page *, struct claim_info **out, size_t *count, const char **next);
/* claim.approve, .replace, .reject and .withdraw. ERR_CONFLICT as above. */
struct err flow_decide_claim(struct arena *, struct flow *, const struct caller *, enum action, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct claim_info *out);

/* For the help desk: is what the document says what was registered? Spelling aside. A mismatch is people's to judge. */
struct claim_comparison {
	bool name_matches, tin_matches;
};
struct err flow_compare_claim(struct arena *, struct flow *, const struct caller *, const char *id, const char *name,
    const char *tin, struct answer *, struct claim_comparison *out);
/* For the help desk: writes the document into the file. */
struct err flow_read_document(struct arena *, struct flow *, const struct caller *, const char *id, int file,
    struct answer *, struct attachment *out);

/* ---- what is a valid number or the same name; pure ---- */

/* Nine digits, dashes dropped; false: it has another form. */
bool organization_digits(const char *tin, char out[10]);
/* NULL: a TIN of that kind may be so; else the rule that it breaks. */
const char *organization_tin_fault(const char digits[10], const char *kind);
/* "Lakeside Clinic, L.L.C." and "LAKESIDE CLINIC LLC"; what each is folded to, in the arena. */
const char *organization_fold_name(struct arena *, const char *name);
