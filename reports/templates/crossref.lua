-- Numbers sections, figures and tables, and resolves references such as @fig:scaling, @tbl:claims, @sec:methods.
-- An unknown or doubled label ends the build. Line lengths and layouts differ by format:
-- GitHub Markdown gets explicit anchors and plain captions, typst gets font sizes and its own breakable figures.
-- The words come as metadata in the language of the report: "label-fig" is "Figure #", where # is the number.

local words = {}
local labels = {}
local counts = { fig = 0, tbl = 0 }
local sections = { 0, 0, 0 }

local function fail(message)
  -- level 0: no position in front; the caller shows what follows the word "report:"
  io.stderr:write("report: " .. message .. "\n")
  os.exit(1)
end

local function define(label, text)
  if labels[label] then fail("the label @" .. label .. " is defined twice.") end
  labels[label] = text
end

local function labelled(kind, number) return (words["label-" .. kind]:gsub("#", number):gsub(" ", "\u{a0}")) end

local function is_kind(label, kind) return label:sub(1, 4) == kind .. ":" end

local function prefix_caption(element, text)
  local blocks = element.caption.long
  local lead = { pandoc.Strong((words["caption-lead"]:gsub("#", text))), pandoc.Space() }
  if #blocks == 0 then
    blocks:insert(pandoc.Plain(lead))
  else
    local inlines = pandoc.Inlines(lead)
    inlines:extend(blocks[1].content)
    blocks[1] = pandoc.Plain(inlines)
  end
  element.caption.long = blocks
end

local function number_float(kind)
  return function(element)
    if not is_kind(element.identifier, kind) then return nil end
    counts[kind] = counts[kind] + 1
    local text = labelled(kind, counts[kind])
    define(element.identifier, text)
    prefix_caption(element, text)
    return element
  end
end

local function number_header(header)
  if header.classes:includes("unnumbered") then return nil end
  local level = header.level
  if level > #sections then return nil end
  sections[level] = sections[level] + 1
  for deeper = level + 1, #sections do sections[deeper] = 0 end
  local number = table.concat(sections, ".", 1, level)
  if is_kind(header.identifier, "sec") then define(header.identifier, labelled("sec", number)) end
  header.content = pandoc.Inlines({ pandoc.Str(number), pandoc.Space() }) .. header.content
  return header
end

-- Letters that a text is as wide as: a Chinese character counts twice.
local function width_of(text)
  local width = 0
  for _, code in utf8.codes(text) do width = width + (code >= 0x2E80 and 2 or 1) end
  return width
end

-- What a cell needs on one line; a header may break between words, and is bold.
local function needs(cell, is_header)
  local text = pandoc.utils.stringify(cell.contents)
  if not is_header then return width_of(text) + 1 end
  local longest = 0
  for word in text:gmatch("%S+") do longest = math.max(longest, width_of(word) + 1) end
  return math.min(longest, 14)
end

local short = 10 -- a column of so many characters or fewer is not broken

-- Columns without stated widths take what they need. Where that is more than fits on a line (`most` characters), short
-- ones still do, and each of the others gets its part of the rest: typst would give all large ones the same, and a
-- number might run into its neighbour.
local function parts(widest, most)
  local sums, shares = { [true] = 0, [false] = 0 }, {}
  for _, width in ipairs(widest) do
    sums[width + 2 <= short] = sums[width + 2 <= short] + width + 2
  end
  local kept = sums[false] == 0 and 1 or math.min(sums[true] / most, 0.6)
  for column, width in ipairs(widest) do
    local is_short = width + 2 <= short
    shares[column] = (width + 2) / sums[is_short] * (is_short and kept or 1 - kept)
  end
  return sums[true] + sums[false] > most and shares or {}
end

local function fit_columns(inner, most)
  local specs, widest = {}, {}
  local function look(rows, is_header)
    for _, row in ipairs(rows) do
      for column, cell in ipairs(row.cells) do
        widest[column] = math.max(widest[column] or 3, needs(cell, is_header))
      end
    end
  end
  look(inner.head.rows, true)
  for _, body in ipairs(inner.bodies) do look(body.body, false) end
  local shares = FORMAT:match("typst") and parts(widest, most) or {}
  for column, spec in ipairs(inner.colspecs) do
    specs[column] = { spec[1], shares[column] }
  end
  inner.colspecs = specs
end

local function size_table(div)
  if not div.classes:includes("table") then return nil end
  local inner = div.content[1]
  local widths = div.attributes.widths
  if widths then
    local column = 1
    for percent in widths:gmatch("%d+") do
      inner.colspecs[column][2] = tonumber(percent) / 100
      column = column + 1
    end
  else
    fit_columns(inner, div.attributes.small and 112 or 84)
  end
  if div.attributes.small and FORMAT:match("typst") then
    inner.attributes["typst:text:size"] = "7.5pt"
  end
  inner.classes:insert(widths and "wide" or "narrow")
  div.content[1] = inner
  return div
end

local function resolve(cite)
  local result = pandoc.Inlines({})
  for index, citation in ipairs(cite.citations) do
    local text = labels[citation.id]
    if not text then fail("unknown label @" .. citation.id .. ".") end
    if index > 1 then result:insert(pandoc.Str(words["list-separator"])) end
    result:insert(pandoc.Link(text, "#" .. citation.id))
  end
  return result
end

-- GitHub Markdown --------------------------------------------------------------------------------------------------

local function anchor(identifier)
  return pandoc.RawInline("html", '<a id="' .. identifier .. '"></a>')
end

local function plain_caption(element)
  local inlines = pandoc.Inlines({ anchor(element.identifier) })
  inlines:extend(pandoc.utils.blocks_to_inlines(element.caption.long))
  return pandoc.Para(inlines)
end

local function github_figure(figure)
  local image
  figure:walk({ Image = function(found) image = found end })
  image.caption = pandoc.Inlines({ pandoc.Str(labels[figure.identifier]) })
  image.attr = pandoc.Attr()
  return { pandoc.Para({ image }), plain_caption(figure) }
end

local function github_table(tbl)
  if tbl.identifier == "" then return nil end
  local caption = plain_caption(tbl)
  tbl.caption = pandoc.Caption()
  tbl.attr = pandoc.Attr()
  for _, spec in ipairs(tbl.colspecs) do spec[2] = nil end
  return { caption, tbl }
end

local function github_header(header)
  return { pandoc.RawBlock("html", '<a id="' .. header.identifier .. '"></a>'), header }
end

local function github_div(div)
  if div.classes:includes("warning") then return pandoc.BlockQuote(div.content) end
  return div.content
end

-- typst --------------------------------------------------------------------------------------------------------------

local whole_rows = 14 -- tables up to this long stay on one page
local wrapping_rows = 8 -- the same where cells wrap, so that rows are higher
local colours = { ["verdict-holds"] = "#00664d", ["verdict-partly"] = "#8a5a00", ["verdict-fails"] = "#a83200" }

local function typst_span(span)
  for _, class in ipairs(span.classes) do
    if colours[class] then
      span.attributes["typst:text:fill"] = 'rgb("' .. colours[class] .. '")'
      return span
    end
  end
end

-- A low figure marked `.here` stays in its place: the hole it may leave is small.
local function typst_figure(figure)
  local here = false
  figure:walk({ Image = function(image) here = here or image.classes:includes("here") end })
  if not here then return nil end
  return { pandoc.RawBlock("typst", "#[\n#show figure.where(kind: image): set figure(placement: none)"), figure,
           pandoc.RawBlock("typst", "]") }
end

local function typst_div(div)
  if div.classes:includes("warning") then
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#warning[") })
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end
  if div.classes:includes("table") then
    local rows = 0
    for _, body in ipairs(div.content[1].bodies) do rows = rows + #body.body end
    if rows > (div.attributes.widths and wrapping_rows or whole_rows) then return div.content end
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#[\n#show figure: set block(breakable: false)") })
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end
end

-- Chinese sets no space between characters and a reference: 见 @sec:x becomes 见第 1 节. After a figure's number it stays.
local function is_chinese(byte) return byte ~= nil and byte >= 0xE3 and byte <= 0xEF end

local function close_up(inlines)
  local result = pandoc.Inlines({})
  for index, inline in ipairs(inlines) do
    local before, after = inlines[index - 1], inlines[index + 1]
    local closed = false
    if inline.t == "Space" and before and after then
      if after.t == "Cite" and before.t == "Str" then
        local last = before.text:match("[\xC2-\xEF][\x80-\xBF]+$")
        closed = last ~= nil and is_chinese(last:byte())
      elseif before.t == "Cite" and before.citations[1].id:sub(1, 4) == "sec:" and after.t == "Str" then
        closed = is_chinese(after.text:byte())
      end
    end
    if not closed then result:insert(inline) end
  end
  return result
end

local function find_figure(image)
  image.src = image.src:gsub("^figures/", words.figures .. "/")
  return image
end

function Pandoc(doc)
  for _, key in ipairs({ "label-fig", "label-tbl", "label-sec", "caption-lead", "list-separator", "figures" }) do
    words[key] = pandoc.utils.stringify(doc.meta[key])
  end
  doc = doc:walk({
    traverse = "topdown",
    Header = number_header,
    Div = size_table,
    Figure = number_float("fig"),
    Table = number_float("tbl"),
  })
  if doc.meta.lang and pandoc.utils.stringify(doc.meta.lang):match("^zh") then doc = doc:walk({ Inlines = close_up }) end
  doc = doc:walk({ Cite = resolve, Image = find_figure })
  if FORMAT:match("gfm") then
    doc = doc:walk({ Figure = github_figure, Table = github_table, Header = github_header,
                     Span = function(span) return span.content end })
    doc = doc:walk({ Div = github_div })
  elseif FORMAT:match("typst") then
    doc = doc:walk({ Span = typst_span, Div = typst_div, Figure = typst_figure })
  end
  return doc
end
