"""Mutants of the lines that keep a promise: each one breaks the promise, and the named tests must see it."""

from __future__ import annotations

from typing import NamedTuple

CORE, SEP, NET = "daw_bridge/", "daw_bridge/separation/", "daw_bridge/control/net/"
DEMUCS, QUEUE = SEP + "families/demucs/", "daw_bridge/control/queue/"
PROMISES, ARCHIVE, KILL = "tests/test_promises.py", "tests/test_archive.py", "tests/kill/test_every_step.py"
STRANGERS, BUILD = "tests/control/test_strangers.py", "tests/e2e/test_build.py"
STRANGERS_MIDI = "tests/control/test_strangers_midi.py"
LEGACY = "tests/separation/test_legacy_file.py"


class Mutant(NamedTuple):
    """`old` stands once in `file` and becomes `new`; `tests` is what pytest gets."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def _m(name: str, file: str, old: str, new: str, tests: str) -> Mutant:
    return Mutant(name, file, old, new, tests)


NULL = (
    _m(
        "null: only the positive peak",
        CORE + "audio/null.py",
        "peak = max(peak, float(left_over.max()), float(-left_over.min()))",
        "peak = max(peak, float(left_over.max()))",
        PROMISES,
    ),
    _m(
        "null: the last part is not summed",
        CORE + "audio/null.py",
        "for reader in readers:\n                part",
        "for reader in readers[:-1]:\n                part",
        PROMISES,
    ),
    _m(
        "null: not measured",
        SEP + "run.py",
        "depth_db = max(SILENCE_DB, null_depth_db(stems.reference.path, [stem.path for stem in stems.stems]))",
        "depth_db = SILENCE_DB",
        PROMISES,
    ),
    _m("null: noted above -60 dB only", SEP + "run.py", "NULL_DEPTH_DB = -120.0", "NULL_DEPTH_DB = -60.0", PROMISES),
    _m(
        "null: of cached stems not measured",
        CORE + "workflow/stems.py",
        "if depth_db > NULL_DEPTH_DB >= record.null_depth_db:",
        "if False:",
        BUILD + "::test_the_null_of_cached_stems_is_measured_on_these_very_files",
    ),
    _m(
        "residual: 0.99999 of it",
        SEP + "disk/residual.py",
        "rest = left.astype(np.float32)",
        "rest = (left * 0.99999).astype(np.float32)",
        "tests/separation/test_run.py",
    ),
)
ALIGNMENT = (
    _m(
        "alignment: too short is padded silently",
        SEP + "run.py",
        "if stems.done_samples != total:",
        "if False:",
        PROMISES,
    ),
    _m(
        "ingest: a change while the mix is read is not seen",
        CORE + "workflow/ingest.py",
        "if stamp(mix) != before:",
        "if False:",
        PROMISES,
    ),
)
ATOMIC = (
    _m("atomic: no fsync", CORE + "files.py", "            _flush_to_disk(part)\n", "", PROMISES),
    _m("atomic: the name is not flushed", CORE + "files.py", "            flush_folder(path.parent)\n", "", PROMISES),
    _m(
        "atomic: written in place",
        CORE + "files.py",
        'part = path.with_name(f"{path.name[:80]}.{secrets.token_hex(4)}{PART_SUFFIX}")',
        "part = path",
        "tests/test_files.py",
    ),
    _m(
        "atomic: part left after an error",
        CORE + "files.py",
        "            part.unlink(missing_ok=True)\n            raise",
        "            raise",
        "tests/test_files.py",
    ),
    _m(
        "take-over: the manifest first",
        CORE + "takeover.py",
        "    with output_errors(root):\n        for entry in placed:",
        "    write_manifest(root, manifest)\n    with output_errors(root):\n        for entry in placed:",
        PROMISES,
    ),
    _m(
        "take-over: no journal is finished",
        CORE + "takeover.py",
        'text = (staging / JOURNAL).read_text("utf-8")',
        'text = (staging / "x").read_text("utf-8")',
        ARCHIVE,
    ),
    _m(
        "take-over: a file in the way is replaced",
        CORE + "takeover.py",
        "    if not entry.replaces:\n        raise OutputError(_in_the_way(target))\n",
        "",
        ARCHIVE,
    ),
    _m(
        "take-over: a changed file is replaced",
        CORE + "takeover.py",
        "    kept = _moved_aside(target)\n",
        "    kept = target\n",
        ARCHIVE,
    ),
    _m(
        "take-over: a changed file that nothing replaces is deleted",
        CORE + "takeover.py",
        "            if _is(path, digest):\n                path.unlink()",
        "            if path.exists():\n                path.unlink()",
        ARCHIVE,
    ),
    _m(
        "take-over: names are not looked at",
        CORE + "takeover.py",
        '        if Path(file).parent.as_posix() not in OWN_FOLDERS:\n            raise InputError(f"{path}: names',
        '        if False:\n            raise InputError(f"{path}: names',
        ARCHIVE,
    ),
    _m(
        "archive: the copy is not read back",
        CORE + "archive.py",
        "        if sha256_of_file(part) != wanted:",
        "        if False:",
        PROMISES,
    ),
    _m(
        "archive: another program's .part is removed",
        CORE + "archive.py",
        "            if is_own_part(path):",
        '            if path.name.endswith(".part"):',
        PROMISES,
    ),
    _m(
        "archive: a refused run empties the folder",
        CORE + "archive.py",
        "            remove_path(claim.staging)\n            if claim.previous",
        "            [remove_path(path) for path in root.iterdir()]\n            if claim.previous",
        ARCHIVE,
    ),
    _m(
        "archive: no lock",
        CORE + "archive.py",
        "                held.enter_context(exclusive(root / LOCK_NAME))",
        "                pass",
        ARCHIVE,
    ),
    _m("archive: a foreign folder is claimed", CORE + "archive.py", "    if foreign:", "    if False:", ARCHIVE),
    _m(
        "sessions: a record may name anything",
        CORE + "workflow/sessions.py",
        "    if not inside or path.name in (*OWN_FOLDERS, MANIFEST_NAME):",
        "    if False:",
        BUILD + "::test_a_strangers_session_record_deletes_no_stems",
    ),
    _m(
        "sessions: any file is a session of the adapter",
        CORE + "workflow/sessions.py",
        "or not _is_named_as_written(path, adapter)",
        "",
        BUILD + "::test_a_strangers_session_record_deletes_no_stems",
    ),
    _m(
        "sessions: an edited session is replaced",
        CORE + "workflow/sessions.py",
        "        return sha256_of_file(path) == record.sha256\n",
        "        return True\n",
        BUILD + "::test_another_template_runs_no_model_and_keeps_a_session_that_the_user_changed",
    ),
)
RESUME = (
    _m(
        "resume: the journal before the frames",
        SEP + "disk/work_folder.py",
        """        with output_errors(self.raw.path):
            self.raw.flush_to_disk()
        self._work.record(self.done_samples)""",
        """        self._work.record(self.done_samples)
        with output_errors(self.raw.path):
            self.raw.flush_to_disk()""",
        PROMISES,
    ),
    _m(
        "resume: weights not in the key",
        SEP + "run.py",
        '        "weights": loaded.weights_sha256,\n        **_rounded_by',
        "        **_rounded_by",
        "tests/separation/test_kill.py::test_weights_swapped_midway_start_afresh",
    ),
    _m(
        "resume: on another device",
        SEP + "run.py",
        "        **_rounded_by(loaded, options),\n",
        "",
        "tests/separation/test_kill.py -k rounded_as_before",
    ),
    _m(
        "resume: by another algorithm",
        SEP + "run.py",
        '        "algorithm": ALGORITHM,\n        "reference"',
        '        "reference"',
        "tests/separation/test_kill.py -k rounded_as_before",
    ),
    _m(
        "batch: the ledger is believed without the folder",
        CORE + "workflow/batch.py",
        "if folder is not None and is_finished(folder)",
        "if folder is not None",
        "tests/test_batch.py::test_a_ledger_that_names_a_damaged_song_is_not_believed",
    ),
    _m(
        "batch: a finished song is not known without its ledger",
        CORE + "workflow/batch.py",
        "    song = finished_before(mix, options)",
        "    song = None",
        "tests/test_batch.py::test_a_song_that_is_finished_but_in_no_ledger_is_done",
    ),
    _m(
        "cache: the sha256 is not compared",
        CORE + "cache.py",
        "            if sha256_of_file(part) != entry.files[name][2]:",
        "            if False:",
        "tests/test_cache.py",
    ),
    _m(
        "cache: stamps are not looked at",
        CORE + "cache.py",
        "if any(stamp(folder / name) != (size, at) for name, (size, at, _) in entry.files.items()):",
        "if False:",
        "tests/test_cache.py",
    ),
    _m(
        "cache: a hard link for every song",
        CORE + "cache.py",
        "shutil.copyfile(entry.folder / name, part)",
        "os.link(entry.folder / name, part)",
        "tests/test_cache.py",
    ),
)
CONFINEMENT = (
    _m(
        "confined: no check",
        CORE + "files.py",
        "    if not path.is_relative_to(root):\n        raise InputError",
        "    if False:\n        raise InputError",
        "tests/test_files.py",
    ),
    _m(
        "paths: outside allowed",
        NET + "security.py",
        "            if not path.is_relative_to(root):",
        "            if False:",
        "tests/control/test_security.py",
    ),
    _m(
        "queue: a path that became a link is read",
        CORE + "control/bridge.py",
        "        if str(self.music.resolve(path, kind)) != path:",
        "        if False and str(self.music.resolve(path, kind)) != path:",
        STRANGERS + "::test_a_queued_mix_that_becomes_a_link_is_not_read",
    ),
    _m(
        "jobs: argv without --",
        QUEUE + "runner.py",
        '"jsonl", "--", job',
        '"jsonl", job',
        PROMISES,
    ),
    _m(
        "daemon: streams of any kind",
        NET + "server.py",
        '            if data[:1] not in (b"\\0", b"\\xc0"):',
        "            if False:",
        STRANGERS + "::test_a_stream_whose_first_bytes_are_no_frame_is_closed_at_once",
    ),
    _m(
        "daemon: what is no OSC on a stream is skipped",
        NET + "server.py",
        "            if client.lasting:\n                raise\n",
        "",
        STRANGERS + "::test_a_stream_whose_first_bytes_are_no_frame_is_closed_at_once",
    ),
    _m(
        "daemon: no secret from this machine",
        NET + "server.py",
        "            self._bridge.arrived(self._client)\n",
        "",
        STRANGERS + "::test_a_connection_from_this_machine_says_the_secret_before_its_commands_count",
    ),
    _m(
        "daemon: any secret is the right one",
        NET + "security.py",
        "hmac.compare_digest(said, secret.encode())",
        "True",
        STRANGERS + "::test_a_connection_from_this_machine_says_the_secret_before_its_commands_count",
    ),
    _m(
        "daemon: the secret is readable by others",
        NET + "secret.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)",
        STRANGERS + "::test_the_secret_is_readable_by_its_user_only_and_goes_with_the_daemon",
    ),
    _m(
        "daemon: silent connections stay",
        NET + "server.py",
        "        oldest._too_silent()\n        return True\n",
        "        return False\n",
        STRANGERS + "::test_silent_connections_make_room_and_end",
    ),
    _m(
        "daemon: each port is a sender",
        NET + "server.py",
        "sender = client.key if is_loopback(client.host) else sender_of(client.host)",
        "sender = client.key",
        STRANGERS + "::test_a_host_with_many_ports_is_one_sender_and_leaves_the_others_their_share",
    ),
    _m(
        "oscquery: answers strangers",
        NET + "discovery.py",
        "if not self._policy.admits(str(peer[0])):",
        "if False:",
        PROMISES,
    ),
    _m(
        "oscquery: any number of connections",
        NET + "discovery.py",
        "if self._open >= MAX_CONNECTIONS:",
        "if False:",
        STRANGERS + "::test_oscquery_takes_a_bounded_number_of_connections_and_no_rebound_name",
    ),
    _m(
        "midi: silent connections stay",
        CORE + "control/midi/socket.py",
        "            self._drop(silent)\n",
        "            silent = None\n",
        STRANGERS_MIDI + " -k silent_midi",
    ),
    _m(
        "midi: endless messages",
        CORE + "control/midi/socket.py",
        "return self._held_bytes <= MAX_SYSEX_BYTES",
        "return True",
        STRANGERS_MIDI + "::test_a_midi_client_that_never_ends_its_message_is_let_go",
    ),
    _m(
        "xml: a document type is read",
        CORE + "safe_xml.py",
        "    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refused\n",
        "",
        "tests/test_safe_xml.py",
    ),
    _m(
        "xml: of any size",
        "adapters/daw_bridge_dawproject/container.py",
        "if entry.file_size > LARGEST_XML_BYTES:",
        "if False:",
        "tests/test_safe_xml.py",
    ),
)
CHECKSUMS = (
    _m(
        "checkpoint: the sha256 is not compared",
        DEMUCS + "checkpoint.py",
        "if not digest.startswith(sha256_prefix.lower()):",
        "if False:",
        "tests/separation/test_weights.py::test_a_flipped_bit_is_seen",
    ),
    _m(
        "checkpoint: any argument",
        DEMUCS + "checkpoint.py",
        '        raise WeightsCorrupt(f"{path}: a network argument is a',
        '        return value\n        raise WeightsCorrupt(f"{path}: a network argument is a',
        PROMISES,
    ),
    _m(
        "checkpoint: names of any kind",
        SEP + "families/pickle_data.py",
        "        if family not in self._allowed:",
        "        if False:",
        LEGACY,
    ),
    _m(
        "checkpoint: tensors beyond their numbers",
        SEP + "families/legacy_file.py",
        "        if count and node.offset + reach > storage.count:",
        "        if False:",
        LEGACY,
    ),
    _m(
        "checkpoint: zip bombs",
        SEP + "families/legacy_file.py",
        "        if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):",
        "        if False:",
        LEGACY,
    ),
    _m(
        "checkpoint: repeated references grow",
        SEP + "families/legacy_file.py",
        "        if self.nodes > MOST_NODES or depth > MOST_DEPTH:",
        "        if depth > MOST_DEPTH:",
        LEGACY + "::test_lists_of_lists_of_lists_do_not_grow_when_they_are_read",
    ),
)
FETCH, DOWNLOAD = "tests/separation/test_fetch.py::", "tests/separation/test_download.py::"
DOWNLOAD = SEP + "families/download.py"
WEIGHTS_SERVER = (
    _m(
        "fetch: the sha256 is not compared",
        DOWNLOAD,
        "        if not found.startswith(file.sha256):\n            part.unlink()\n            raise",
        "        if False:\n            part.unlink()\n            raise",
        DOWNLOAD + "test_other_bytes_than_the_catalog_lists_are_refused",
    ),
    _m(
        "fetch: what came too much is kept",
        DOWNLOAD,
        "                    part.unlink(missing_ok=True)\n                    raise WeightsCorrupt",
        "                    raise WeightsCorrupt",
        DOWNLOAD + "test_a_body_without_end_is_cut_at_the_size_of_the_file",
    ),
    _m(
        "fetch: https leads to http",
        SEP + "families/transfer.py",
        'if request.url.scheme != "https" and origin not in plain_hosts:',
        "if False:",
        DOWNLOAD + "test_a_redirect_to_plain_http_is_refused",
    ),
    _m(
        "fetch: a hub that states no sha256",
        DOWNLOAD,
        "            if len(file.sha256) != 64 or",
        "            if",
        FETCH + "test_a_hub_that_states_no_sha256_is_not_believed",
    ),
    _m(
        "fetch: an archive without end",
        SEP + "families/bsrnn/fetch.py",
        "if sum(entry.file_size for entry in entries) > most_bytes or any(map(_is_bomb, entries)):",
        "if False:",
        FETCH + "test_an_archive_that_would_unpack_without_end_is_left_alone",
    ),
)
GUARDED, FINISHED = "tests/audio/test_guarded.py::", "tests/test_finished.py::"
STRANGERS_FILES = (
    _m(
        "decoding: without limits",
        CORE + "audio/decode_worker.py",
        '            _limit(Path(order["source"]))\n',
        "",
        GUARDED + "test_a_file_that_takes_too_much_is_refused",
    ),
    _m(
        "decoding: memory is not looked at",
        CORE + "audio/decode_worker.py",
        "_resident_bytes(child) > _memory_bytes",
        "0 > _memory_bytes",
        GUARDED + "test_a_file_that_takes_too_much_is_refused",
    ),
    _m(
        "decoding: of a mix in the run itself",
        CORE + "workflow/chain.py",
        "guarded.probe(mix,",
        "probe(mix,",
        FINISHED + "test_a_mix_is_probed_and_decoded_by_the_process_with_limits",
    ),
    _m(
        "decoding: into the song in the run itself",
        CORE + "workflow/ingest.py",
        "        decoded = guarded.decode_to_reference(",
        "        decoded = decode_to_reference(",
        FINISHED + "test_a_mix_is_probed_and_decoded_by_the_process_with_limits",
    ),
    _m(
        "files: pipes are read",
        CORE + "files.py",
        "        if not stat.S_ISREG(kind):",
        "        if False:",
        "tests/test_streams.py -k templates",
    ),
    _m(
        "web: a program is opened as a session",
        CORE + "web/opening.py",
        "if not target.name.lower().endswith(SESSION_FILES):",
        "if False:",
        "tests/web/test_opening.py",
    ),
    _m(
        "reaper: the server asks for no secret",
        "adapters/daw_bridge_reaper/actions/daw_bridge_server.py",
        "    if address not in KNOWN:\n        raise",
        "    if False:\n        raise",
        "tests/reaper/test_live_sockets.py -k secret",
    ),
)
SAME = (
    _m(
        "samples: threads share sums",
        SEP + "engine/speed.py",
        "torch.set_num_threads(1)",
        "torch.set_num_threads(max(2, before))",
        "tests/separation/test_same_samples.py -k other_machine",
    ),
    _m(
        "samples: the batch follows the memory that is free",
        SEP + "engine/memory.py",
        "    return min(usual, fitting)",
        "    return fitting",
        "tests/separation/test_memory.py -k whatever_else_lies_there",
    ),
    _m(
        "job: a finished song is made again",
        CORE + "workflow/finished.py",
        "    if found is None or not made >=",
        "    if True or found is None or not made >=",
        FINISHED + "test_a_finished_song_is_not_made_twice_and_no_other_is_taken_for_it",
    ),
)
MUTANTS = (*NULL, *ALIGNMENT, *ATOMIC, *RESUME, *CONFINEMENT, *CHECKSUMS, *WEIGHTS_SERVER, *STRANGERS_FILES, *SAME)
