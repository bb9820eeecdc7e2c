/* The table of attributes, the tree, and the names, filters and changes made from them. */
#include "dir/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#include "base/banned.h"

/* ---- the tables ---- */

#define PERSON KIND_BIT(KIND_PERSON)
#define ORGANIZATION KIND_BIT(KIND_ORGANIZATION)
#define ASSOCIATION KIND_BIT(KIND_ASSOCIATION)
#define CONSENT KIND_BIT(KIND_CONSENT)
#define RECORD KIND_BIT(KIND_RECORD)
#define SUBMISSION KIND_BIT(KIND_SUBMISSION)
#define SESSION KIND_BIT(KIND_SESSION)
#define APPLICATION KIND_BIT(KIND_APPLICATION)
#define ROLE KIND_BIT(KIND_ROLE)
#define CLAIM KIND_BIT(KIND_CLAIM)
#define CASE KIND_BIT(KIND_CASE)
#define GRANT KIND_BIT(KIND_GRANT)
#define RESERVATION KIND_BIT(KIND_RESERVATION)
#define STREAMED \
	(PERSON | ORGANIZATION | ASSOCIATION | CONSENT | RECORD | SUBMISSION | SESSION | APPLICATION | ROLE | CLAIM | CASE)
#define EVERY (STREAMED | GRANT | RESERVATION)
#define STATED (EVERY & ~(RECORD | ROLE | RESERVATION))
#define THROUGH (ASSOCIATION | CONSENT | SUBMISSION)               /* an employer */
#define LYING (ASSOCIATION | CONSENT | RECORD | SUBMISSION | CLAIM) /* in an organization */
#define WHOSE (ASSOCIATION | SESSION | SUBMISSION | CLAIM)
#define DECIDED (PERSON | ORGANIZATION | ASSOCIATION | CONSENT | SUBMISSION | CLAIM | CASE)

#define AT(field) offsetof(struct entry, field)

/* clang-format off */
const struct schema_field schema_fields[] = {
	{ "objectClass", VALUE_CLASSES, AT(is_employer), ORGANIZATION, ORGANIZATION, ORGANIZATION, 0, false },
	{ "entryUUID", VALUE_UUID, AT(uuid), EVERY, 0, 0, 0, false }, /* the stream tells it in a control */
	{ "entryCSN", VALUE_REVISION, AT(revision), EVERY, EVERY, EVERY, 0, false },

	{ "scfState", VALUE_STATE, AT(state), STATED, STATED, STATED, FIELD_STATE, false },
	{ "scfProvider", VALUE_ORGANIZATION, AT(provider), LYING | CASE, LYING, LYING | CASE, 0, false },
	{ "scfEmployer", VALUE_ORGANIZATION, AT(employer), THROUGH | CASE, THROUGH, THROUGH | CASE, 0, false },
	{ "scfUser", VALUE_PERSON, AT(user), WHOSE | CASE | GRANT, WHOSE, WHOSE | CASE, 0, false },

	{ "scfRealm", VALUE_REALM, AT(realm), PERSON, PERSON, PERSON, 0, false },
	{ "scfSessionsEndAt", VALUE_TIME, AT(sessions_end), PERSON, 0, PERSON, FIELD_SESSIONS_END, false },
	{ "pwdChangedTime", VALUE_TIME, AT(password_changed_at), PERSON, 0, PERSON, 0, false },
	{ "scfSignedInAt", VALUE_TIME, AT(signed_in_at), PERSON, 0, PERSON, FIELD_SIGNED_IN_AT, false },
	{ "scfFraudAt", VALUE_TIME, AT(fraud_at), PERSON, 0, 0, FIELD_FRAUD_AT, false },
	{ "scfLeavingEmployer", VALUE_ORGANIZATIONS, AT(leaving), PERSON, 0, PERSON, FIELD_LEAVING, false },
	{ "oathTOTPToken", VALUE_PRESENT, AT(second_factor), PERSON, 0, PERSON, 0, false },
	{ "scfSecondFactor", VALUE_FLAG, AT(second_factor), SESSION, 0, SESSION, 0, false },
	{ "scfRecoveryDigest", VALUE_DIGESTS, AT(recovery_digests), PERSON, 0, 0, FIELD_RECOVERY, false },
	{ "cn", VALUE_TEXT, AT(name), PERSON, 0, 0, FIELD_NAME, false },
	{ "sn", VALUE_TEXT, AT(name), PERSON, 0, 0, FIELD_NAME, true },
	{ "mail", VALUE_TEXT, AT(mail), PERSON, 0, 0, FIELD_MAIL, false },
	{ "telephoneNumber", VALUE_TEXT, AT(phone), PERSON, 0, 0, FIELD_PHONE, false },
	{ "scfNpi", VALUE_TEXTS, AT(npis), PERSON | ORGANIZATION | RECORD, 0, 0, FIELD_NPIS, false },

	{ "o", VALUE_TEXT, AT(name), ORGANIZATION, 0, 0, FIELD_NAME, false },
	{ "scfProviderKind", VALUE_PROVIDER_KIND, AT(provider_kind), ORGANIZATION, 0, ORGANIZATION, 0, false },
	{ "scfAuthorizedOfficial", VALUE_PERSON, AT(official), ORGANIZATION, 0, ORGANIZATION, FIELD_OFFICIAL, false },
	{ "scfOfficialSince", VALUE_TIME, AT(official_since), ORGANIZATION, 0, 0, FIELD_OFFICIAL, false },
	{ "scfBarredEmployer", VALUE_ORGANIZATIONS, AT(barred), ORGANIZATION, 0, ORGANIZATION, FIELD_BARRED, false },
	{ "scfTin", VALUE_TEXT, AT(tin), ORGANIZATION, 0, 0, FIELD_TIN, false },
	{ "scfTinKind", VALUE_TEXT, AT(tin_kind), ORGANIZATION, 0, 0, FIELD_TIN, false },
	{ "postalAddress", VALUE_TEXT, AT(postal_address), ORGANIZATION, 0, 0, FIELD_POSTAL_ADDRESS, false },

	{ "scfNotBefore", VALUE_TIME, AT(not_before), CONSENT, 0, CONSENT, 0, false },
	{ "scfNotAfter", VALUE_TIME, AT(not_after), CONSENT | ASSOCIATION, 0, CONSENT | ASSOCIATION, 0, false },
	{ "scfExpires", VALUE_TIME, AT(expires), ASSOCIATION | SESSION | GRANT, SESSION | GRANT, ASSOCIATION | SESSION,
	    FIELD_EXPIRES, false },
	{ "scfRequestedBy", VALUE_PERSON, AT(requested_by), ASSOCIATION | CONSENT | ORGANIZATION | CASE, 0, ORGANIZATION, 0,
	    false },
	{ "scfRequestedAt", VALUE_TIME, AT(requested_at), (DECIDED & ~PERSON) | RESERVATION, 0, 0, 0, false },
	{ "scfDecidedBy", VALUE_PERSON, AT(decided_by), DECIDED, 0, 0, FIELD_DECIDED, false },
	{ "scfDecidedAt", VALUE_TIME, AT(decided_at), DECIDED, 0, 0, FIELD_DECIDED, false },
	{ "scfReason", VALUE_TEXT, AT(reason), DECIDED, 0, 0, FIELD_REASON, false },
	{ "scfTicket", VALUE_TEXT, AT(ticket), DECIDED, 0, 0, FIELD_REASON, false },
	{ "scfIdentifiedBy", VALUE_TEXT, AT(identified_by), DECIDED, 0, 0, FIELD_REASON, false },

	{ "scfSignedBy", VALUE_PERSON, AT(signed_by), CONSENT, 0, 0, FIELD_SIGNED, false },
	{ "scfSignedAt", VALUE_TIME, AT(signed_at), CONSENT, 0, 0, FIELD_SIGNED, false },
	{ "scfSignedDigest", VALUE_TEXT, AT(signed_digest), CONSENT, 0, 0, FIELD_SIGNED, false },
	{ "scfSignedHow", VALUE_TEXT, AT(signed_how), CONSENT, 0, 0, FIELD_SIGNED, false },
	{ "scfAttachment", VALUE_TEXT, AT(attachment), CONSENT | CLAIM, 0, 0, FIELD_ATTACHMENT, false },
	{ "scfDocumentKind", VALUE_TEXT, AT(document_kind), CLAIM, 0, 0, 0, false },
	{ "scfCaseKind", VALUE_CASE_KIND, AT(case_kind), CASE, CASE, CASE, 0, false },
	{ "scfNote", VALUE_TEXT, AT(note), CASE | CLAIM, 0, 0, 0, false },
	{ "scfPurpose", VALUE_TEXT, AT(purpose), GRANT | RESERVATION, GRANT | RESERVATION, 0, 0, false },
	{ "scfOwner", VALUE_TEXT, AT(owner), RESERVATION, RESERVATION, 0, 0, false },

	{ "scfForm", VALUE_TEXT, AT(form), RECORD | SUBMISSION, 0, 0, 0, false },
	{ "scfEnrollmentStatus", VALUE_TEXT, AT(status), RECORD, 0, 0, 0, false },
	{ "scfEnrollmentId", VALUE_TEXT, AT(enrollment), SUBMISSION, 0, SUBMISSION, FIELD_ENROLLMENT, false },
	{ "scfSubmissionId", VALUE_TEXT, AT(made_from), RECORD, 0, 0, 0, false },
	{ "scfDocument", VALUE_DOCUMENT, AT(document), RECORD | SUBMISSION | GRANT | CONSENT, 0, 0, FIELD_DOCUMENT, false },

	{ "scfStartedAt", VALUE_TIME, AT(started_at), SESSION, SESSION, SESSION, 0, false },
	{ "scfSeenAt", VALUE_TIME, AT(seen_at), SESSION, SESSION, SESSION, FIELD_SEEN_AT, false },
	{ "scfAuthenticatedAt", VALUE_TIME, AT(authenticated_at), SESSION, SESSION, SESSION,
	    FIELD_AUTHENTICATED_AT, false },
	{ "scfAddress", VALUE_TEXT, AT(address), SESSION, 0, 0, 0, false },
	{ "scfAgent", VALUE_TEXT, AT(agent), SESSION, 0, 0, 0, false },

	{ "description", VALUE_TEXT, AT(name), APPLICATION, 0, 0, 0, false },
	{ "scfSecretDigest", VALUE_DIGESTS, AT(secret_digests), APPLICATION, 0, APPLICATION, 0, false },
	{ "scfCertificateDigest", VALUE_DIGESTS, AT(certificate_digests), APPLICATION, 0, APPLICATION, 0, false },
	{ "scfPermission", VALUE_TEXTS, AT(permissions), APPLICATION, 0, APPLICATION, 0, false },

	{ "member", VALUE_PEOPLE, AT(members), ROLE, ROLE, ROLE, 0, false },
};
/* clang-format on */
const size_t schema_field_count = COUNT(schema_fields);
_Static_assert(COUNT(schema_fields) <= SCHEMA_FIELDS_MOST, "rows fit into 64 bits");
_Static_assert(AT(document_size) == AT(document) + sizeof(const char *), "a document's size follows it");

static const struct {
	const char *naming; /* the attribute of its RDN */
	const char *container;
	bool in_organization; /* the container lies in the entry of an organization, not below base */
	const char *classes[5];
	size_t classes_always; /* of a new entry; the rest depends */
} kinds[KINDS] = {
	[KIND_PERSON] = { "uid", "ou=people", false, { "inetOrgPerson", "scfPerson" }, 2 },
	[KIND_ORGANIZATION] = { "scfOrgId", "ou=organizations", false,
	    { "scfOrganization", "scfProviderRole", "scfEmployerRole" }, 1 },
	[KIND_ASSOCIATION] = { "scfAssociationId", "ou=associations", true, { "scfAssociation" }, 1 },
	[KIND_CONSENT] = { "scfConsentId", "ou=consents", true, { "scfConsent" }, 1 },
	[KIND_RECORD] = { "scfEnrollmentId", "ou=records", true, { "scfEnrollment" }, 1 },
	[KIND_SUBMISSION] = { "scfSubmissionId", "ou=submissions", true, { "scfSubmission" }, 1 },
	[KIND_SESSION] = { "scfSessionId", "ou=sessions", false, { "scfSession", "dynamicObject" }, 2 },
	[KIND_APPLICATION] = { "scfApplicationId", "ou=applications", false, { "scfApplication" }, 1 },
	[KIND_ROLE] = { "cn", "ou=roles", false, { "groupOfNames" }, 1 },
	[KIND_CLAIM] = { "scfClaimId", "ou=claims", true, { "scfClaim" }, 1 },
	[KIND_CASE] = { "scfCaseId", "ou=cases", false, { "scfCase" }, 1 },
	[KIND_GRANT] = { "scfGrantId", "ou=grants", false, { "scfGrant", "dynamicObject" }, 2 },
	[KIND_RESERVATION] = { "scfReservationId", "ou=reservations", false, { "scfReservation" }, 1 },
};

const char *place_naming(enum kind kind)
{
	return kinds[kind].naming;
}

const char *const *schema_classes(enum kind kind)
{
	return kinds[kind].classes;
}

const char *const *schema_containers(void)
{
	static const char *const containers[] = { "ou=people", "ou=organizations", "ou=roles", "ou=applications",
		"ou=sessions", "ou=grants", "ou=cases", "ou=reservations", "ou=attachments", "cn=totp,ou=policies",
		NULL };

	return containers;
}

/* What carries a state is ours or a claim; records and roles carry none; a person without one is a slip worth telling.
 * Presence is the cheapest thing that a server can test: it looks at every entry for a refresh. */
const char *schema_stream_filter(void)
{
	return "(|(scfState=*)(scfEnrollmentId=*)(uid=*)(objectClass=groupOfNames))";
}

/* ---- opening ---- */

/* FNV-1a over the letters' low five bits, which are the same in both cases. */
static unsigned slot_of(const char *name, size_t size)
{
	unsigned hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((unsigned char)name[i] & 31)) * 16777619u;
	return (hash ^ hash >> 16) % SCHEMA_SLOTS;
}

int schema_row(const struct schema *s, const char *name, size_t size)
{
	for (unsigned slot = slot_of(name, size); s->slots[slot] != 0; slot = (slot + 1) % SCHEMA_SLOTS) {
		int row = s->slots[slot] - 1;
		const char *attribute = schema_fields[row].attribute;

		if (strncasecmp(attribute, name, size) == 0 && attribute[size] == '\0')
			return row;
	}
	return -1;
}

/* A DN as libldap writes it, so that what a server sends is compared with the same form. NULL: not a DN. */
static char *tidy(const char *dn)
{
	LDAPDN parsed = NULL;
	char *text = NULL, *copy = NULL;

	if (dn == NULL || *dn == '\0' || ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return NULL;
	if (parsed != NULL && ldap_dn2str(parsed, &text, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS && text != NULL)
		copy = must_strdup(text);
	ldap_memfree(text);
	ldap_dnfree(parsed);
	return copy;
}

static char *below(const char *relative, const char *base)
{
	size_t size = strlen(relative) + strlen(base) + 2;
	char *dn = must_alloc(size);

	snprintf(dn, size, "%s,%s", relative, base);
	return dn;
}

struct err schema_open(struct schema *s, const char *base, const char *people)
{
	*s = (struct schema){ 0 };
	s->base = tidy(base);
	if (s->base == NULL)
		return FAIL(ERR_INVALID, "base: not a distinguished name");
	s->people = people == NULL ? below(kinds[KIND_PERSON].container, s->base) : tidy(people);
	if (s->people == NULL) {
		schema_close(s);
		return FAIL(ERR_INVALID, "people: not a distinguished name");
	}
	/* A directory of people is somebody else's: ours is what we take of it, not what it must hold. */
	unsigned somebody_elses = people != NULL ? PERSON : 0;
	s->organizations = below(kinds[KIND_ORGANIZATION].container, s->base);
	s->base_size = strlen(s->base);
	s->people_size = strlen(s->people);
	s->organizations_size = strlen(s->organizations);

	for (size_t row = 0; row < schema_field_count; row++) {
		const struct schema_field *field = &schema_fields[row];

		for (int kind = 0; kind < KINDS; kind++)
			if (field->required & KIND_BIT(kind) & ~somebody_elses)
				s->required[kind] |= UINT64_C(1) << row;
		if (field->only_written)
			continue;
		unsigned slot = slot_of(field->attribute, strlen(field->attribute));
		while (s->slots[slot] != 0)
			slot = (slot + 1) % SCHEMA_SLOTS;
		s->slots[slot] = (uint8_t)(row + 1);
	}
	return SUCCESS;
}

void schema_close(struct schema *s)
{
	free(s->base);
	free(s->people);
	free(s->organizations);
	*s = (struct schema){ 0 };
}

static char **attributes_with(struct arena *a, unsigned kind, bool streamed)
{
	char **names = arena_alloc(a, (schema_field_count + 1) * sizeof *names);
	size_t count = 0;

	for (size_t i = 0; i < schema_field_count; i++)
		if (!schema_fields[i].only_written &&
		    (streamed ? schema_fields[i].streamed : schema_fields[i].kinds & kind))
			names[count++] = (char *)(uintptr_t)schema_fields[i].attribute; /* libldap only reads them */
	return names;
}

char **schema_attributes_of(struct arena *a, enum kind kind)
{
	return attributes_with(a, KIND_BIT(kind), false);
}

char **schema_attributes_of_head(struct arena *a, enum kind kind)
{
	char **names = arena_alloc(a, (schema_field_count + 1) * sizeof *names);
	size_t count = 0;

	for (size_t i = 0; i < schema_field_count; i++)
		if (!schema_fields[i].only_written && (schema_fields[i].kinds & KIND_BIT(kind)) &&
		    schema_fields[i].type != VALUE_DOCUMENT)
			names[count++] = (char *)(uintptr_t)schema_fields[i].attribute; /* libldap only reads them */
	return names;
}

char **schema_attributes_streamed(struct arena *a)
{
	return attributes_with(a, 0, true);
}

/* ---- names ---- */

static bool is_digest(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

bool schema_is_id(enum kind kind, const char *id)
{
	switch (kind) {
	case KIND_PERSON:
		return id_is_uid(id);
	case KIND_RECORD:
		return id_is_enrollment(id);
	case KIND_SESSION:
	case KIND_GRANT:
	case KIND_RESERVATION:
		return id != NULL && is_digest(id);
	case KIND_ROLE:
		return id != NULL &&
		       (strcmp(id, role_word(ROLE_HELP_DESK)) == 0 || strcmp(id, role_word(ROLE_AUDITOR)) == 0 ||
			   strcmp(id, role_word(ROLE_PROCESSOR)) == 0);
	default:
		return id_is_plain(id);
	}
}

/* One RDN, its value escaped by libldap (RFC 4514 2.4). */
static const char *rdn(struct arena *a, const char *attribute, const char *value)
{
	LDAPAVA ava = { .la_flags = LDAP_AVA_STRING };
	LDAPRDN one = (LDAPAVA *[]){ &ava, NULL };
	LDAPDN dn = (LDAPRDN[]){ one, NULL };
	char *text = NULL;

	ava.la_attr = (struct berval){ strlen(attribute), (char *)(uintptr_t)attribute };
	ava.la_value = (struct berval){ strlen(value), (char *)(uintptr_t)value };
	if (!text_is_utf8(value, strlen(value)))
		ava.la_flags = LDAP_AVA_BINARY; /* written as #04…: says what it is, names nothing */
	if (ldap_dn2str(dn, &text, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || text == NULL)
		return arena_printf(a, "%s=", attribute);
	const char *copy = arena_strdup(a, text);
	ldap_memfree(text);
	return copy;
}

const char *schema_dn(struct arena *a, const struct schema *s, enum kind kind, const char *provider, const char *id)
{
	const char *name = rdn(a, kinds[kind].naming, id != NULL ? id : "");

	if (kind == KIND_PERSON)
		return arena_printf(a, "%s,%s", name, s->people);
	if (!kinds[kind].in_organization)
		return arena_printf(a, "%s,%s,%s", name, kinds[kind].container, s->base);
	return arena_printf(a, "%s,%s,%s,%s", name, kinds[kind].container,
	    rdn(a, kinds[KIND_ORGANIZATION].naming, provider != NULL ? provider : ""), s->organizations);
}

bool schema_lies_in_organization(enum kind kind)
{
	return kinds[kind].in_organization;
}

const char *schema_folder(struct arena *a, const struct schema *s, enum kind kind, const char *provider)
{
	return arena_printf(a, "%s,%s", kinds[kind].container, schema_dn(a, s, KIND_ORGANIZATION, NULL, provider));
}

const char *schema_dn_below(struct arena *a, const struct schema *s, const char *relative)
{
	return arena_printf(a, "%s,%s", relative, s->base);
}

const char *schema_filter_equal(struct arena *a, const char *attribute, const char *value)
{
	struct berval in = { strlen(value), (char *)(uintptr_t)value }, out = { 0, NULL };

	/* It hands back NULL for an empty value, and when there is no memory. */
	if (ldap_bv2escaped_filter_value(&in, &out) != 0 || (out.bv_val == NULL && in.bv_len > 0))
		return "(!(objectClass=*))"; /* matches nothing */
	const char *filter = arena_printf(a, "(%s=%s)", attribute, out.bv_val != NULL ? out.bv_val : "");
	ldap_memfree(out.bv_val);
	return filter;
}

const char *schema_filter_guard(struct arena *a, enum state state, const struct revision *revision)
{
	char csn[REVISION_TEXT];
	bool by_revision = revision != NULL && revision->micros != 0;

	if (state == STATE_NONE && !by_revision)
		return NULL;
	const char *of_state = state == STATE_NONE ? "" : schema_filter_equal(a, "scfState", state_word(state));
	if (!by_revision)
		return of_state;
	revision_format(revision, csn);
	return arena_printf(a, "(&%s%s)", of_state, schema_filter_equal(a, "entryCSN", csn));
}

/* ---- changes ---- */

static const void *field_of(const struct entry *e, const struct schema_field *field)
{
	return (const char *)e + field->at;
}

static size_t list_size(const char *const *list)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	return count;
}

static struct berval **values_room(struct arena *a, size_t count)
{
	struct berval **values = arena_alloc(a, (count + 1) * sizeof *values);
	struct berval *store = arena_alloc(a, (count + 1) * sizeof *store);

	for (size_t i = 0; i < count; i++)
		values[i] = &store[i];
	return values;
}

static struct berval **one_value(struct arena *a, const char *text, size_t size)
{
	struct berval **values = values_room(a, 1);

	*values[0] = (struct berval){ size, (char *)(uintptr_t)text }; /* libldap only reads it */
	return values;
}

static struct berval **text_value(struct arena *a, const char *text)
{
	return text == NULL || *text == '\0' ? NULL : one_value(a, text, strlen(text));
}

static struct berval **list_values(
    struct arena *a, const struct schema *s, enum value_type type, const char *const *list)
{
	size_t count = list_size(list);

	if (count == 0)
		return NULL;
	struct berval **values = values_room(a, count);
	for (size_t i = 0; i < count; i++) {
		const char *text = type == VALUE_PEOPLE          ? schema_dn(a, s, KIND_PERSON, NULL, list[i])
				   : type == VALUE_ORGANIZATIONS ? schema_dn(a, s, KIND_ORGANIZATION, NULL, list[i])
								 : list[i];
		*values[i] = (struct berval){ strlen(text), (char *)(uintptr_t)text };
	}
	return values;
}

static struct berval **reference_value(struct arena *a, const struct schema *s, enum kind kind, const char *id)
{
	return id == NULL ? NULL : text_value(a, schema_dn(a, s, kind, NULL, id));
}

static struct berval **time_value(struct arena *a, int64_t seconds)
{
	char *text = arena_alloc(a, CLOCK_GENERALIZED);

	if (seconds == 0)
		return NULL;
	clock_format_generalized(seconds, text);
	return text_value(a, text);
}

static struct berval **document_value(struct arena *a, const struct entry *e)
{
	return e->document == NULL ? NULL : one_value(a, e->document, e->document_size);
}

static const char *provider_kind_word(enum provider_kind kind)
{
	switch (kind) {
	case PROVIDER_ORGANIZATION:
		return "organization";
	case PROVIDER_INDIVIDUAL:
		return "individual";
	case NOT_A_PROVIDER:
		break;
	}
	return NULL;
}

/* The values that the row has in that entry; NULL: none. */
static struct berval **values_of(
    struct arena *a, const struct schema *s, const struct entry *e, const struct schema_field *field)
{
	const void *at = field_of(e, field);

	switch (field->type) {
	case VALUE_TEXT:
		return text_value(a, *(const char *const *)at);
	case VALUE_STATE:
		return e->state == STATE_NONE ? NULL : text_value(a, state_word(e->state));
	case VALUE_TIME:
		return time_value(a, *(const int64_t *)at);
	case VALUE_PERSON:
		return reference_value(a, s, KIND_PERSON, *(const char *const *)at);
	case VALUE_ORGANIZATION:
		return reference_value(a, s, KIND_ORGANIZATION, *(const char *const *)at);
	case VALUE_TEXTS:
	case VALUE_DIGESTS:
	case VALUE_PEOPLE:
	case VALUE_ORGANIZATIONS:
		return list_values(a, s, field->type, *(const char *const *const *)at);
	case VALUE_REALM:
		return text_value(a, e->realm == REALM_NPPES ? "nppes" : "local");
	case VALUE_PROVIDER_KIND:
		return text_value(a, provider_kind_word(e->provider_kind));
	case VALUE_DOCUMENT:
		return document_value(a, e);
	case VALUE_CASE_KIND:
		return text_value(a, case_word(e->case_kind));
	case VALUE_FLAG:
		return text_value(a, *(const bool *)at ? "TRUE" : NULL);
	case VALUE_PRESENT:
	case VALUE_CLASSES:
	case VALUE_UUID:
	case VALUE_REVISION:
		break; /* the server's */
	}
	return NULL;
}

static LDAPMod *change(struct arena *a, int operation, const char *attribute, struct berval **values)
{
	LDAPMod *mod = arena_alloc(a, sizeof *mod);

	mod->mod_op = operation | LDAP_MOD_BVALUES;
	mod->mod_type = (char *)(uintptr_t)attribute;
	mod->mod_bvalues = values;
	return mod;
}

LDAPMod *schema_mod(struct arena *a, int operation, const char *attribute, const void *bytes, size_t size)
{
	return change(a, operation, attribute, bytes == NULL ? NULL : one_value(a, bytes, size));
}

LDAPMod *schema_mod_text(struct arena *a, int operation, const char *attribute, const char *text)
{
	return schema_mod(a, operation, attribute, text, text == NULL ? 0 : strlen(text));
}

LDAPMod *schema_mod_texts(struct arena *a, int operation, const char *attribute, const char *const *texts)
{
	return change(a, operation, attribute, list_values(a, NULL, VALUE_TEXTS, texts));
}

static struct berval **classes_of(struct arena *a, const struct entry *e)
{
	const char *list[COUNT(kinds[0].classes) + 1] = { NULL };
	size_t count = 0;

	for (; count < kinds[e->kind].classes_always; count++)
		list[count] = kinds[e->kind].classes[count];
	if (e->kind == KIND_ORGANIZATION && e->provider_kind != NOT_A_PROVIDER)
		list[count++] = kinds[e->kind].classes[1];
	if (e->kind == KIND_ORGANIZATION && e->is_employer)
		list[count++] = kinds[e->kind].classes[2];
	return list_values(a, NULL, VALUE_TEXTS, list);
}

struct err schema_additions(struct arena *a, const struct schema *s, const struct entry *e, LDAPMod ***out)
{
	LDAPMod **mods = arena_alloc(a, (schema_field_count + 3) * sizeof *mods);
	size_t count = 0;

	if (!state_fits(e->kind, e->state))
		return FAIL(ERR_INVALID, "state: no state of that kind of entry");
	mods[count++] = change(a, LDAP_MOD_ADD, "objectClass", classes_of(a, e));
	mods[count++] = change(a, LDAP_MOD_ADD, kinds[e->kind].naming, text_value(a, e->id));
	for (size_t i = 0; i < schema_field_count; i++) {
		const struct schema_field *field = &schema_fields[i];
		struct berval **values;

		if (!(field->kinds & KIND_BIT(e->kind)))
			continue;
		values = values_of(a, s, e, field);
		if (values != NULL)
			mods[count++] = change(a, LDAP_MOD_ADD, field->attribute, values);
		else if ((field->required & KIND_BIT(e->kind)) && field->type < VALUE_CLASSES)
			return FAIL(ERR_INVALID, arena_printf(a, "%s: missing", field->attribute));
	}
	*out = mods;
	return SUCCESS;
}

struct err schema_changes(
    struct arena *a, const struct schema *s, const struct entry *to, unsigned fields, LDAPMod ***out)
{
	LDAPMod **mods = arena_alloc(a, (schema_field_count + 1) * sizeof *mods);
	size_t count = 0;
	unsigned known = 0;

	if ((fields & FIELD_STATE) && !state_fits(to->kind, to->state))
		return FAIL(ERR_INVALID, "state: no state of that kind of entry");
	for (size_t i = 0; i < schema_field_count; i++) {
		const struct schema_field *field = &schema_fields[i];

		if (!(field->bit & fields) || !(field->kinds & KIND_BIT(to->kind)))
			continue;
		known |= field->bit;
		struct berval **values = values_of(a, s, to, field);
		if (values == NULL && (field->required & KIND_BIT(to->kind)))
			return FAIL(ERR_INVALID, arena_printf(a, "%s: missing", field->attribute));
		mods[count++] = change(a, LDAP_MOD_REPLACE, field->attribute, values);
	}
	if (count == 0 || known != fields)
		return FAIL(ERR_INVALID, "fields: not of that kind of entry");
	*out = mods;
	return SUCCESS;
}
