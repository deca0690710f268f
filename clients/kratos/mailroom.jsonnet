// The body of Ory Kratos' HTTP courier, for every mail: see docs/sources/kratos.md.
//
// Kratos passes everything it knows about a mail in `ctx`; what is missing there is null here. Its own subject and text
// stay behind: Mailroom has its own, in the reader's language.
function(ctx)
  local field(object, name) =
    if std.type(object) == 'object' && std.objectHas(object, name) then object[name] else null;
  local data = field(ctx, 'template_data');
  local first(names) =
    local values = std.filter(function(value) value != null && value != '', [field(data, name) for name in names]);
    if values == [] then null else values[0];
  local header(name) =
    local values = field(field(ctx, 'request_headers'), name);
    if std.type(values) == 'array' && values != [] then values[0] else null;
  local identity = field(data, 'identity');
  local traits = field(identity, 'traits');
  {
    template_type: ctx.template_type,
    to: ctx.recipient,
    code: first(['recovery_code', 'verification_code', 'login_code', 'registration_code']),
    link: first(['recovery_url', 'verification_url']),
    expires_in_minutes: field(data, 'expires_in_minutes'),
    identity_id: field(identity, 'id'),
    // A registration has no identity yet.
    traits: if traits != null then traits else field(data, 'traits'),
    transient_payload: field(data, 'transient_payload'),
    application: field(field(field(data, 'oauth2_login_request'), 'client'), 'client_name'),
    accept_language: header('Accept-Language'),
    client_ip: header('True-Client-Ip'),
  }
