/* Tests the directory's names: DNs built and read back, filters escaped, and the table that everything is driven by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dir/schema.h"

#define BASE "dc=scf,dc=example"
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct schema schema;
static struct arena *arena;

static int open_all(void **unused)
{
	(void)unused;
	arena = arena_open();
	return schema_open(&schema, BASE, NULL).code;
}

static int close_all(void **unused)
{
	(void)unused;
	schema_close(&schema);
	arena_close(arena);
	return 0;
}

static enum where where_is(const char *dn, struct place *out)
{
	/* Exactly as long as it is, so that a look beyond its end is seen. */
	char *copy = strdup(dn);
	enum where where = place_of(&schema, copy, strlen(copy), out);

	free(copy);
	return where;
}

static void each_kind_has_its_place(void **unused)
{
	static const struct {
		enum kind kind;
		const char *provider, *id, *dn;
	} rows[] = {
		{ KIND_PERSON, NULL, "chen", "uid=chen,ou=people," BASE },
		{ KIND_ORGANIZATION, NULL, "lakeside", "scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_ASSOCIATION, "lakeside", "a-1",
		    "scfAssociationId=a-1,ou=associations,scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_CONSENT, "lakeside", "c-1",
		    "scfConsentId=c-1,ou=consents,scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_RECORD, "lakeside", "O20240115000001",
		    "scfEnrollmentId=O20240115000001,ou=records,scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_SUBMISSION, "lakeside", "s-1",
		    "scfSubmissionId=s-1,ou=submissions,scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_SESSION, NULL, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		    "scfSessionId=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,ou=sessions," BASE },
		{ KIND_APPLICATION, NULL, "portal", "scfApplicationId=portal,ou=applications," BASE },
		{ KIND_ROLE, NULL, "helpdesk", "cn=helpdesk,ou=roles," BASE },
		{ KIND_CLAIM, "northgate", "k-1",
		    "scfClaimId=k-1,ou=claims,scfOrgId=northgate,ou=organizations," BASE },
		{ KIND_CASE, NULL, "c-1", "scfCaseId=c-1,ou=cases," BASE },
		/* Not in the replica: their names are written and never read. */
		{ KIND_GRANT, NULL, DIGEST, "scfGrantId=" DIGEST ",ou=grants," BASE },
		{ KIND_RESERVATION, NULL, DIGEST, "scfReservationId=" DIGEST ",ou=reservations," BASE },
	};

	(void)unused;
	assert_int_equal(COUNT(rows), KINDS);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct place place;

		assert_string_equal(schema_dn(arena, &schema, rows[i].kind, rows[i].provider, rows[i].id), rows[i].dn);
		if (rows[i].kind == KIND_GRANT || rows[i].kind == KIND_RESERVATION) {
			assert_int_equal(where_is(rows[i].dn, &place), PLACE_ELSEWHERE);
			continue;
		}
		assert_int_equal(where_is(rows[i].dn, &place), PLACE_OURS);
		assert_int_equal(place.kind, rows[i].kind);
		assert_string_equal(place.id, rows[i].id);
		assert_string_equal(place.provider, rows[i].provider != NULL ? rows[i].provider : "");
	}
}

static void a_name_means_the_same_however_it_is_written(void **unused)
{
	static const char *const names[] = {
		"uid=chen,ou=people," BASE,
		"UID=Chen,OU=People,DC=SCF,DC=Example",
		"uid=CHEN, ou=people, dc=scf, dc=example",
		"uid = chen , ou = people , dc = scf , dc = example",
		"uid=\\63hen,ou=people," BASE,
		"uid=chen,ou=\\70eople," BASE,
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct place place;
		char dn[100];

		assert_int_equal(where_is(names[i], &place), PLACE_OURS);
		assert_string_equal(place.id, "chen");
		snprintf(dn, sizeof dn, "%s", names[i]);
		assert_string_equal(place_reference(arena, &schema, KIND_PERSON, dn, strlen(dn)), "chen");
	}
}

static void enrollment_ids_are_upper_case_and_all_others_lower(void **unused)
{
	struct place place;

	(void)unused;
	assert_int_equal(
	    where_is("scfEnrollmentId=o20240115000001,ou=records,scfOrgId=LakeSide,ou=organizations," BASE, &place),
	    PLACE_OURS);
	assert_string_equal(place.id, "O20240115000001");
	assert_string_equal(place.provider, "lakeside");
}

static void other_places_are_judged_strictly(void **unused)
{
	static const struct {
		enum where where;
		const char *dn;
	} rows[] = {
		{ PLACE_ELSEWHERE, "" },
		{ PLACE_ELSEWHERE, BASE },
		{ PLACE_ELSEWHERE, "," BASE },
		{ PLACE_ELSEWHERE, "ou=people," BASE },
		{ PLACE_ELSEWHERE, "ou=associations,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_ELSEWHERE, "ou=retired,ou=people," BASE },
		{ PLACE_ELSEWHERE, "uid=chen,ou=retired,ou=people," BASE },
		{ PLACE_ELSEWHERE, "uid=chen,ou=people,dc=other,dc=example" },
		{ PLACE_ELSEWHERE, "uid=chen,ou=people,dc=scf,dc=example,dc=org" },
		{ PLACE_ELSEWHERE, "uid=chen,ou=peopledc=scf,dc=example" },
		{ PLACE_ELSEWHERE, "cn=associates,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_ELSEWHERE, "cn=gateway,ou=services," BASE },
		{ PLACE_ELSEWHERE, "cn=people,ou=policies," BASE },
		{ PLACE_ELSEWHERE, "scfPart=1,scfAttachmentId=d-1,ou=attachments," BASE },
		{ PLACE_ELSEWHERE, "cn=totp,ou=policies," BASE },
		{ PLACE_ELSEWHERE, "uid=chen,uid=chen,uid=chen,uid=chen,uid=chen," BASE },
		{ PLACE_ELSEWHERE, "not a name at all" },
		{ PLACE_WRONG, "cn=chen,ou=people," BASE },
		{ PLACE_WRONG, "uid=,ou=people," BASE },
		{ PLACE_WRONG, "uid=c,ou=people," BASE },
		{ PLACE_WRONG, "uid=chen wei,ou=people," BASE },
		{ PLACE_WRONG, "uid=chen\\2Cou=people,ou=people," BASE },
		{ PLACE_WRONG, "uid=chen\\2C,ou=people," BASE },
		{ PLACE_WRONG, "uid=chen+cn=x,ou=people," BASE },
		{ PLACE_WRONG, "uid=chen\\00,ou=people," BASE },
		{ PLACE_WRONG, "uid=#0404636865,ou=people," BASE },
		{ PLACE_WRONG, "uid=\xd1\x81hen,ou=people," BASE },
		{ PLACE_WRONG, "uid=abcdefghijklmnopqrstuvwxyz0123456789,ou=people," BASE },
		{ PLACE_WRONG, "cn=help-desk,ou=roles," BASE },
		{ PLACE_WRONG, "scfEnrollmentId=X20240115000001,ou=records,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_WRONG, "scfAssociationId=a,ou=associations,scfOrgId=lake_side,ou=organizations," BASE },
		{ PLACE_WRONG, "scfConsentId=c,ou=associations,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_WRONG, "scfSessionId=0123,ou=sessions," BASE },
		{ PLACE_LOST, "scfAssociationId=a,ou=asociations,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_LOST, "scfAssociationId=a,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_LOST, "scfOrgId=lakeside," BASE },
		{ PLACE_LOST, "scfOrgId=inner,scfOrgId=lakeside,ou=organizations," BASE },
		{ PLACE_LOST, "scfAssociationId=a,ou=associations,uid=lakeside,ou=organizations," BASE },
		{ PLACE_LOST, "scfAssociationId=a,ou=associations,scfOrgId=lakeside,ou=people," BASE },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct place place;
		enum where where = where_is(rows[i].dn, &place);

		if (where != rows[i].where)
			fail_msg("%s: %d, not %d", rows[i].dn, (int)where, (int)rows[i].where);
	}
}

static void a_reference_to_anything_else_is_none(void **unused)
{
	static const struct {
		enum kind kind;
		const char *dn;
	} rows[] = {
		{ KIND_PERSON, "" },
		{ KIND_PERSON, "chen" },
		{ KIND_PERSON, "ou=people," BASE },
		{ KIND_PERSON, "uid=chen,uid=chen,ou=people," BASE },
		{ KIND_PERSON, "uid=chen,ou=people,dc=other,dc=example" },
		{ KIND_PERSON, "cn=chen,ou=people," BASE },
		{ KIND_PERSON, "uid=chen+cn=x,ou=people," BASE },
		{ KIND_PERSON, "uid=ch\\2C en,ou=people," BASE },
		{ KIND_PERSON, "scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_ORGANIZATION, "uid=chen,ou=people," BASE },
		{ KIND_ORGANIZATION, "o=lakeside,ou=organizations," BASE },
		{ KIND_ORGANIZATION, "ou=associations,scfOrgId=lakeside,ou=organizations," BASE },
		{ KIND_ORGANIZATION, "scfOrgId=*,ou=organizations," BASE },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *dn = strdup(rows[i].dn);

		if (place_reference(arena, &schema, rows[i].kind, dn, strlen(dn)) != NULL)
			fail_msg("%s names something", rows[i].dn);
		free(dn);
	}
}

/* Whatever a stranger calls himself: one RDN below ou=people, with that value and no other. */
static void hostile_names_stay_within_their_rdn(void **unused)
{
	static const char *const names[] = { "*)(uid=*))(|(uid=*", "chen,ou=admins", "chen+cn=x", "\\23", "#23",
		" chen", "chen ", "\"chen\"", "a=b", "<>;", "\\", "\\,", ",", "\n\r\t", "\x01",
		"O'Brien \xe2\x80\x9cx\xe2\x80\x9d", "\xff\xfe", "" };

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *dn = schema_dn(arena, &schema, KIND_PERSON, NULL, names[i]);
		LDAPDN parsed = NULL;

		assert_int_equal(ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3), LDAP_SUCCESS);
		int count = 0;
		while (parsed[count] != NULL)
			count++;
		assert_int_equal(count, 4);
		assert_null(parsed[0][1]);
		if (*names[i] != '\0' && (unsigned char)names[i][0] != 0xff) {
			assert_int_equal(parsed[0][0]->la_value.bv_len, strlen(names[i]));
			assert_memory_equal(parsed[0][0]->la_value.bv_val, names[i], strlen(names[i]));
		}
		ldap_dnfree(parsed);
	}
}

static void filters_are_escaped(void **unused)
{
	static const struct {
		const char *value, *filter;
	} rows[] = {
		{ "chen", "(uid=chen)" },
		{ "a*(b)\\c", "(uid=a\\2A\\28b\\29\\5Cc)" },
		{ "*", "(uid=\\2A)" },
		{ "x)(objectClass=*", "(uid=x\\29\\28objectClass=\\2A)" },
		{ "", "(uid=)" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(schema_filter_equal(arena, "uid", rows[i].value), rows[i].filter);
}

static void a_guard_asks_for_what_it_names(void **unused)
{
	struct revision revision, none = { 0 };

	(void)unused;
	assert_true(revision_parse("20261124063744.123456Z#000001#002#000000", 40, &revision));
	assert_null(schema_filter_guard(arena, STATE_NONE, &none));
	assert_null(schema_filter_guard(arena, STATE_NONE, NULL));
	assert_string_equal(schema_filter_guard(arena, STATE_PENDING, &none), "(scfState=pending)");
	assert_string_equal(schema_filter_guard(arena, STATE_NONE, &revision),
	    "(&(entryCSN=20261124063744.123456Z#000001#002#000000))");
	assert_string_equal(schema_filter_guard(arena, STATE_ACTIVE, &revision),
	    "(&(scfState=active)(entryCSN=20261124063744.123456Z#000001#002#000000))");
}

static void every_attribute_is_found_by_its_name_in_any_case(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < schema_field_count; i++) {
		char upper[64], longer[65];
		const char *name = schema_fields[i].attribute;
		size_t size = strlen(name);

		assert_in_range(size, 1, sizeof upper - 2);
		for (size_t c = 0; c <= size; c++)
			upper[c] = (char)(name[c] >= 'a' && name[c] <= 'z' ? name[c] - 32 : name[c]);
		int wanted = schema_fields[i].only_written ? -1 : (int)i;
		assert_int_equal(schema_row(&schema, name, size), wanted);
		assert_int_equal(schema_row(&schema, upper, size), wanted);
		snprintf(longer, sizeof longer, "%s;", name);
		assert_int_equal(schema_row(&schema, longer, size + 1), -1);
	}
	assert_int_equal(schema_row(&schema, "", 0), -1);
	assert_int_equal(schema_row(&schema, "userPassword", 12), -1);
}

static void the_table_is_consistent(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < schema_field_count; i++) {
		const struct schema_field *f = &schema_fields[i];

		assert_true(f->kinds != 0 && f->at < sizeof(struct entry));
		assert_int_equal(f->required & ~f->kinds, 0);
		assert_int_equal(f->streamed & ~f->kinds, 0);
		/* What the stream does not ask for it cannot miss. */
		assert_int_equal(f->required & ~f->streamed & ~KIND_BIT(KIND_GRANT) & ~KIND_BIT(KIND_RESERVATION), 0);
	}
}

static bool asked(char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void the_stream_asks_for_no_more_than_the_replica_needs(void **unused)
{
	static const char *const never[] = { "scfDocument", "userPassword", "mail", "cn", "sn", "description",
		"scfReason", "scfRecoveryDigest", "scfTin", "scfNote", "telephoneNumber" };
	char **streamed = schema_attributes_streamed(arena);

	(void)unused;
	for (size_t i = 0; i < COUNT(never); i++)
		assert_false(asked(streamed, never[i]));
	assert_true(asked(streamed, "scfState") && asked(streamed, "entryCSN") && asked(streamed, "objectClass"));
	assert_true(asked(schema_attributes_of(arena, KIND_RECORD), "scfDocument"));
	assert_false(asked(schema_attributes_of_head(arena, KIND_RECORD), "scfDocument"));
	assert_true(asked(schema_attributes_of_head(arena, KIND_RECORD), "scfForm"));
	assert_false(asked(schema_attributes_of(arena, KIND_PERSON), "sn"));
}

static const LDAPMod *mod_of(LDAPMod **mods, const char *attribute)
{
	for (; *mods != NULL; mods++)
		if (strcmp((*mods)->mod_type, attribute) == 0)
			return *mods;
	return NULL;
}

static void assert_values(LDAPMod **mods, const char *attribute, const char *const *values)
{
	const LDAPMod *mod = mod_of(mods, attribute);
	size_t count = 0;

	assert_non_null(mod);
	assert_true(mod->mod_op & LDAP_MOD_BVALUES);
	for (; values[count] != NULL; count++) {
		assert_non_null(mod->mod_bvalues[count]);
		assert_int_equal(mod->mod_bvalues[count]->bv_len, strlen(values[count]));
		assert_memory_equal(mod->mod_bvalues[count]->bv_val, values[count], strlen(values[count]));
	}
	assert_null(mod->mod_bvalues[count]);
}

#define VALUES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void a_session_is_written_as_the_schema_wants_it(void **unused)
{
	const char *id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct entry e = { .kind = KIND_SESSION,
		.state = STATE_ACTIVE,
		.id = id,
		.user = "chen",
		.started_at = 1795502264,
		.seen_at = 1795502265,
		.authenticated_at = 1795502264,
		.expires = 1795545464,
		.address = "::1",
		.agent = "" };
	LDAPMod **mods;

	(void)unused;
	assert_int_equal(schema_additions(arena, &schema, &e, &mods).code, OK);
	assert_values(mods, "objectClass", VALUES("scfSession", "dynamicObject"));
	assert_values(mods, "scfSessionId", VALUES(id));
	assert_values(mods, "scfState", VALUES("active"));
	assert_values(mods, "scfUser", VALUES("uid=chen,ou=people," BASE));
	assert_values(mods, "scfStartedAt", VALUES("20261124063744Z"));
	assert_values(mods, "scfAddress", VALUES("::1"));
	assert_null(mod_of(mods, "scfAgent")); /* empty is absent */
	assert_null(mod_of(mods, "scfProvider"));
	assert_null(mod_of(mods, "entryCSN"));
}

static void an_organization_is_of_the_classes_that_it_needs(void **unused)
{
	const char *const barred[] = { "harbor", "dormant", NULL };
	struct entry e = { .kind = KIND_ORGANIZATION,
		.state = STATE_ACTIVE,
		.id = "lakeside",
		.name = "Lakeside Clinic",
		.provider_kind = PROVIDER_ORGANIZATION,
		.is_employer = true,
		.official = "rivera",
		.barred = barred };
	LDAPMod **mods;

	(void)unused;
	assert_int_equal(schema_additions(arena, &schema, &e, &mods).code, OK);
	assert_values(mods, "objectClass", VALUES("scfOrganization", "scfProviderRole", "scfEmployerRole"));
	assert_values(mods, "scfBarredEmployer",
	    VALUES("scfOrgId=harbor,ou=organizations," BASE, "scfOrgId=dormant,ou=organizations," BASE));
	assert_values(mods, "scfAuthorizedOfficial", VALUES("uid=rivera,ou=people," BASE));
	e.provider_kind = NOT_A_PROVIDER;
	assert_int_equal(schema_additions(arena, &schema, &e, &mods).code, OK);
	assert_values(mods, "objectClass", VALUES("scfOrganization", "scfEmployerRole"));
}

static void what_a_kind_needs_is_missed(void **unused)
{
	struct entry e = { .kind = KIND_ASSOCIATION,
		.state = STATE_PENDING,
		.id = "a",
		.provider = "p",
		.employer = "e",
		.user = "chen" };
	LDAPMod **mods;
	struct err err;

	(void)unused;
	assert_int_equal(schema_additions(arena, &schema, &e, &mods).code, OK);
	e.employer = NULL;
	err = schema_additions(arena, &schema, &e, &mods);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.what, "scfEmployer: missing");
	e.employer = "e";
	e.state = STATE_SIGNED;
	assert_int_equal(schema_additions(arena, &schema, &e, &mods).code, ERR_INVALID);
}

static void what_is_made_is_written_with_all_that_is_known_of_it(void **unused)
{
	static const struct entry claim = { .kind = KIND_CLAIM,
		.state = STATE_SUBMITTED,
		.id = "k-1",
		.provider = "northgate",
		.user = "quinn",
		.document_kind = "cp575",
		.attachment = "d-1",
		.note = "mine",
		.requested_at = 1795502264 };
	static const struct entry of_desk = { .kind = KIND_CASE,
		.state = STATE_SUBMITTED,
		.id = "c-1",
		.case_kind = CASE_REVOCATION,
		.provider = "lakeside",
		.employer = "meridian",
		.requested_by = "rivera" };
	static const struct entry grant = { .kind = KIND_GRANT,
		.state = STATE_ACTIVE,
		.id = DIGEST,
		.purpose = "reset",
		.user = "chen",
		.expires = 1795502264,
		.document = "{}",
		.document_size = 2 };
	static const struct entry taken = {
		.kind = KIND_RESERVATION, .id = DIGEST, .purpose = "tin", .owner = "lakeside"
	};
	LDAPMod **mods;

	(void)unused;
	assert_int_equal(schema_additions(arena, &schema, &claim, &mods).code, OK);
	assert_values(mods, "scfDocumentKind", VALUES("cp575"));
	assert_values(mods, "scfAttachment", VALUES("d-1"));
	assert_values(mods, "scfNote", VALUES("mine"));
	assert_values(mods, "scfUser", VALUES("uid=quinn,ou=people," BASE));
	assert_int_equal(schema_additions(arena, &schema, &of_desk, &mods).code, OK);
	assert_values(mods, "scfCaseKind", VALUES("employer_revocation"));
	assert_values(mods, "scfRequestedBy", VALUES("uid=rivera,ou=people," BASE));
	assert_null(mod_of(mods, "scfUser"));
	assert_int_equal(schema_additions(arena, &schema, &grant, &mods).code, OK);
	assert_values(mods, "objectClass", VALUES("scfGrant", "dynamicObject"));
	assert_values(mods, "scfDocument", VALUES("{}"));
	assert_values(mods, "scfExpires", VALUES("20261124063744Z"));
	assert_int_equal(schema_additions(arena, &schema, &taken, &mods).code, OK);
	assert_values(mods, "scfOwner", VALUES("lakeside"));
	assert_null(mod_of(mods, "scfState"));
}

static void fields_that_belong_together_are_changed_together(void **unused)
{
	const char *const left[] = { "meridian", NULL };
	struct entry person = { .kind = KIND_PERSON,
		.id = "chen",
		.state = STATE_DISABLED,
		.fraud_at = 1795502264,
		.leaving = left,
		.name = "Wei Chen" };
	struct entry organization = { .kind = KIND_ORGANIZATION,
		.id = "o",
		.official = "rivera",
		.official_since = 1795502264,
		.tin = "361827459",
		.tin_kind = "ein" };
	LDAPMod **mods;

	(void)unused;
	assert_int_equal(schema_changes(arena, &schema, &person,
			     FIELD_STATE | FIELD_FRAUD_AT | FIELD_LEAVING | FIELD_NAME | FIELD_REASON, &mods)
			     .code,
	    OK);
	assert_values(mods, "scfFraudAt", VALUES("20261124063744Z"));
	assert_values(mods, "scfLeavingEmployer", VALUES("scfOrgId=meridian,ou=organizations," BASE));
	assert_values(mods, "cn", VALUES("Wei Chen"));
	assert_values(mods, "sn", VALUES("Wei Chen"));
	assert_null(mod_of(mods, "scfTicket")->mod_bvalues); /* removed */
	assert_int_equal(schema_changes(arena, &schema, &organization, FIELD_OFFICIAL | FIELD_TIN, &mods).code, OK);
	assert_values(mods, "scfAuthorizedOfficial", VALUES("uid=rivera,ou=people," BASE));
	assert_values(mods, "scfOfficialSince", VALUES("20261124063744Z"));
	assert_values(mods, "scfTinKind", VALUES("ein"));
	assert_int_equal(schema_changes(arena, &schema, &person, FIELD_TIN, &mods).code, ERR_INVALID);
}

static void a_change_sets_the_named_fields_and_no_others(void **unused)
{
	struct entry e = { .kind = KIND_ASSOCIATION,
		.state = STATE_APPROVED,
		.id = "a",
		.provider = "p",
		.user = "chen",
		.decided_by = "rivera",
		.decided_at = 1795502264 };
	LDAPMod **mods;

	(void)unused;
	assert_int_equal(
	    schema_changes(arena, &schema, &e, FIELD_STATE | FIELD_DECIDED | FIELD_REASON, &mods).code, OK);
	assert_values(mods, "scfState", VALUES("approved"));
	assert_values(mods, "scfDecidedBy", VALUES("uid=rivera,ou=people," BASE));
	assert_values(mods, "scfDecidedAt", VALUES("20261124063744Z"));
	assert_null(mod_of(mods, "scfReason")->mod_bvalues); /* a replace by nothing: deleted */
	assert_null(mod_of(mods, "scfUser"));
	assert_int_equal(schema_changes(arena, &schema, &e, FIELD_SEEN_AT, &mods).code, ERR_INVALID);
	assert_int_equal(schema_changes(arena, &schema, &e, FIELD_STATE | FIELD_DOCUMENT, &mods).code, ERR_INVALID);
	assert_int_equal(schema_changes(arena, &schema, &e, 0, &mods).code, ERR_INVALID);
	e.state = STATE_NONE;
	assert_int_equal(schema_changes(arena, &schema, &e, FIELD_STATE, &mods).code, ERR_INVALID);
}

static void a_base_that_is_no_dn_is_refused(void **unused)
{
	static const char *const bases[] = { "", "scf", "dc=scf,", "dc=scf,,dc=example", "=x" };
	struct schema s;

	(void)unused;
	assert_int_equal(schema_open(&s, NULL, NULL).code, ERR_INVALID);
	for (size_t i = 0; i < COUNT(bases); i++)
		assert_int_equal(schema_open(&s, bases[i], NULL).code, ERR_INVALID);
	assert_int_equal(schema_open(&s, BASE, "people").code, ERR_INVALID);
	assert_int_equal(schema_open(&s, " dc = SCF , dc = example ", "ou=practitioners,dc=nppes").code, OK);
	assert_string_equal(s.base, "dc=SCF,dc=example");
	assert_string_equal(schema_dn(arena, &s, KIND_PERSON, NULL, "patel"), "uid=patel,ou=practitioners,dc=nppes");
	schema_close(&s);
}

static void dns_are_compared_in_one_form(void **unused)
{
	(void)unused;
	assert_true(place_same_dn("cn=gateway,ou=services," BASE, "CN=Gateway, OU=services, dc=scf,dc=example"));
	assert_false(place_same_dn("cn=admins,ou=B," BASE, "cn=admins,ou=A," BASE));
	assert_false(place_same_dn("cn=gateway", "cn=gateway,ou=services," BASE));
	assert_false(place_same_dn("nonsense", "nonsense"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_place),
		cmocka_unit_test(a_name_means_the_same_however_it_is_written),
		cmocka_unit_test(enrollment_ids_are_upper_case_and_all_others_lower),
		cmocka_unit_test(other_places_are_judged_strictly),
		cmocka_unit_test(a_reference_to_anything_else_is_none),
		cmocka_unit_test(hostile_names_stay_within_their_rdn),
		cmocka_unit_test(filters_are_escaped),
		cmocka_unit_test(a_guard_asks_for_what_it_names),
		cmocka_unit_test(every_attribute_is_found_by_its_name_in_any_case),
		cmocka_unit_test(the_table_is_consistent),
		cmocka_unit_test(the_stream_asks_for_no_more_than_the_replica_needs),
		cmocka_unit_test(a_session_is_written_as_the_schema_wants_it),
		cmocka_unit_test(an_organization_is_of_the_classes_that_it_needs),
		cmocka_unit_test(what_a_kind_needs_is_missed),
		cmocka_unit_test(what_is_made_is_written_with_all_that_is_known_of_it),
		cmocka_unit_test(a_change_sets_the_named_fields_and_no_others),
		cmocka_unit_test(fields_that_belong_together_are_changed_together),
		cmocka_unit_test(a_base_that_is_no_dn_is_refused),
		cmocka_unit_test(dns_are_compared_in_one_form),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
